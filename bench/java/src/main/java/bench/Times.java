package bench;

import java.time.Duration;
import java.util.Arrays;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;

/** Watermarks: by the clock as usual, or with the argument {@code --each-watermark} after each record. */
final class Times {
    private Times() {}

    /** Records are at most so late. */
    static <T> WatermarkStrategy<T> boundedBy(String[] args, Duration lateness) {
        if (Arrays.asList(args).contains("--each-watermark")) {
            long millis = lateness.toMillis();
            return WatermarkStrategy.forGenerator(context -> new AfterEach<>(millis));
        }
        return WatermarkStrategy.forBoundedOutOfOrderness(lateness);
    }

    private static final class AfterEach<T> implements WatermarkGenerator<T> {
        private final long lateness;
        private long highest = Long.MIN_VALUE;

        AfterEach(long lateness) {
            this.lateness = lateness;
        }

        @Override
        public void onEvent(T event, long timestamp, WatermarkOutput output) {
            highest = Math.max(highest, timestamp);
            output.emitWatermark(new Watermark(highest - lateness - 1));
        }

        @Override
        public void onPeriodicEmit(WatermarkOutput output) {}
    }
}
