package bench;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.cep.CEP;
import org.apache.flink.cep.functions.PatternProcessFunction;
import org.apache.flink.cep.functions.TimedOutPartialMatchHandler;
import org.apache.flink.cep.nfa.aftermatch.AfterMatchSkipStrategy;
import org.apache.flink.cep.pattern.Pattern;
import org.apache.flink.cep.pattern.conditions.IterativeCondition;
import org.apache.flink.cep.pattern.conditions.SimpleCondition;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/** Alerts and warnings from a pattern of readings: {@code examples/datastream/sensor_alerts.rs}. */
public final class SensorAlerts {
    private SensorAlerts() {}

    /** One reading. */
    public static class Reading {
        public String sensor;
        public long at_ms;
        public double celsius;
    }

    static final double TOO_HOT = 100.0;
    static final OutputTag<String> WARNINGS = new OutputTag<String>("warnings") {};

    static class Rising extends IterativeCondition<Reading> {
        @Override
        public boolean filter(Reading reading, Context<Reading> soFar) throws Exception {
            if (reading.celsius <= TOO_HOT) {
                return false;
            }
            for (Reading first : soFar.getEventsForPattern("first")) {
                if (reading.celsius <= first.celsius) {
                    return false;
                }
            }
            return true;
        }
    }

    static class Report extends PatternProcessFunction<Reading, String>
            implements TimedOutPartialMatchHandler<Reading> {
        @Override
        public void processMatch(Map<String, List<Reading>> found, Context context, Collector<String> out) {
            Reading third = found.get("third").get(0);
            out.collect("alert: " + found.get("first").get(0).sensor + " is at " + third.celsius + " degrees");
        }

        @Override
        public void processTimedOutMatch(Map<String, List<Reading>> partial, Context context) {
            context.output(
                    WARNINGS,
                    "warning: " + partial.get("first").get(0).sensor + " was hot before " + context.timestamp());
        }
    }

    static Pattern<Reading, Reading> overheated() {
        return Pattern.<Reading>begin("first", AfterMatchSkipStrategy.skipPastLastEvent())
                .where(SimpleCondition.of(reading -> reading.celsius > TOO_HOT))
                .next("second")
                .where(new Rising())
                .followedBy("third")
                .where(SimpleCondition.of(reading -> reading.celsius > TOO_HOT))
                .within(Duration.ofSeconds(10));
    }

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        ObjectMapper mapper = new ObjectMapper();
        DataStream<Reading> readings =
                env.fromSource(Topics.source(args), WatermarkStrategy.noWatermarks(), "readings")
                        .map(text -> mapper.readValue(text, Reading.class))
                        .assignTimestampsAndWatermarks(
                                Times.<Reading>boundedBy(args, Duration.ofSeconds(1))
                                        .withTimestampAssigner((reading, time) -> reading.at_ms));
        SingleOutputStreamOperator<String> alerts =
                CEP.pattern(readings.keyBy(reading -> reading.sensor), overheated()).process(new Report());
        alerts.union(alerts.getSideOutput(WARNINGS)).sinkTo(Topics.sink(args));
        env.execute("sensor alerts");
    }
}
