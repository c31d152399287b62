package bench;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Each message with "processed-" in front. */
public final class PrefixMap {
    private PrefixMap() {}

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSource(Topics.source(args), WatermarkStrategy.noWatermarks(), "input")
                .map(message -> "processed-" + message)
                .sinkTo(Topics.sink(args));
        env.execute("processed");
    }
}
