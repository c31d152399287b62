package bench;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Every second the mean of the last ten, for each sensor: {@code examples/datastream/sliding_average.rs}. */
public final class SlidingAverage {
    private SlidingAverage() {}

    /** One reading. */
    public static class Reading {
        public String sensor;
        public double value;
        public long ts;
    }

    static class Average implements AggregateFunction<Reading, Tuple2<Double, Long>, Double> {
        @Override
        public Tuple2<Double, Long> createAccumulator() {
            return Tuple2.of(0.0, 0L);
        }

        @Override
        public Tuple2<Double, Long> add(Reading reading, Tuple2<Double, Long> accumulator) {
            return Tuple2.of(accumulator.f0 + reading.value, accumulator.f1 + 1);
        }

        @Override
        public Double getResult(Tuple2<Double, Long> accumulator) {
            return accumulator.f0 / accumulator.f1;
        }

        @Override
        public Tuple2<Double, Long> merge(Tuple2<Double, Long> a, Tuple2<Double, Long> b) {
            return Tuple2.of(a.f0 + b.f0, a.f1 + b.f1);
        }
    }

    static class Show extends ProcessWindowFunction<Double, String, String, TimeWindow> {
        @Override
        public void process(String sensor, Context context, Iterable<Double> means, Collector<String> out) {
            for (double mean : means) {
                out.collect(
                        "{\"window_end\":" + context.window().getEnd() + ",\"sensor\":\"" + sensor + "\",\"mean\":"
                                + mean + "}");
            }
        }
    }

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        ObjectMapper mapper = new ObjectMapper();
        env.fromSource(Topics.source(args), WatermarkStrategy.noWatermarks(), "input")
                .map(text -> mapper.readValue(text, Reading.class))
                .assignTimestampsAndWatermarks(
                        Times.<Reading>boundedBy(args, Duration.ofSeconds(1))
                                .withTimestampAssigner((reading, time) -> reading.ts))
                .keyBy(reading -> reading.sensor)
                .window(SlidingEventTimeWindows.of(Duration.ofSeconds(10), Duration.ofSeconds(1)))
                .aggregate(new Average(), new Show())
                .sinkTo(Topics.sink(args));
        env.execute("sliding average");
    }
}
