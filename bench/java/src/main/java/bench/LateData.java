package bench;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.OutputTag;

/** Sums of a minute that fire again for late records, and later ones aside: {@code examples/datastream/late_data.rs}. */
public final class LateData {
    private LateData() {}

    /** One event. */
    public static class Event {
        public String key;
        public long value;
        public long ts;

        String json(String output) {
            return "{\"key\":\"" + key + "\",\"value\":" + value + ",\"ts\":" + ts + "}" + output;
        }
    }

    static final OutputTag<Event> LATE = new OutputTag<Event>("late") {};

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        ObjectMapper mapper = new ObjectMapper();
        SingleOutputStreamOperator<Event> sums =
                env.fromSource(Topics.source(args), WatermarkStrategy.noWatermarks(), "input")
                        .map(text -> mapper.readValue(text, Event.class))
                        .assignTimestampsAndWatermarks(
                                Times.<Event>boundedBy(args, Duration.ZERO)
                                        .withTimestampAssigner((event, time) -> event.ts))
                        .keyBy(event -> event.key)
                        .window(TumblingEventTimeWindows.of(Duration.ofSeconds(60)))
                        .allowedLateness(Duration.ofSeconds(30))
                        .sideOutputLateData(LATE)
                        .sum("value");
        sums.map(sum -> sum.json(" sum"))
                .union(sums.getSideOutput(LATE).map(event -> event.json(" late")))
                .sinkTo(Topics.sink(args));
        env.execute("late data");
    }
}
