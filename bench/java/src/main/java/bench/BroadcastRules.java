package bench;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.co.KeyedBroadcastProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Payments marked by limits that another topic changes: {@code examples/datastream/broadcast_rules.rs}. In BATCH mode, in which
 * all limits are known before the first payment, so that the result does not depend on which topic is read first.
 */
public final class BroadcastRules {
    private BroadcastRules() {}

    /** One payment. */
    public static class Payment {
        public String country;
        public double amount;
    }

    /** The limit of a country. */
    public static class Rule {
        public String country;
        public double limit;
    }

    static final MapStateDescriptor<String, Double> LIMITS =
            new MapStateDescriptor<>("limits", Types.STRING, Types.DOUBLE);

    static class CheckLimit extends KeyedBroadcastProcessFunction<String, Payment, Rule, String> {
        @Override
        public void processElement(Payment payment, ReadOnlyContext context, Collector<String> out)
                throws Exception {
            Double limit = context.getBroadcastState(LIMITS).get(payment.country);
            boolean above = limit != null && payment.amount > limit;
            out.collect(
                    "{\"country\":\"" + payment.country + "\",\"amount\":" + payment.amount + ",\"above_limit\":" + above
                            + "}");
        }

        @Override
        public void processBroadcastElement(Rule rule, Context context, Collector<String> out) throws Exception {
            context.getBroadcastState(LIMITS).put(rule.country, rule.limit);
        }
    }

    /** A fourth argument names the topic of the rules. */
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setRuntimeMode(org.apache.flink.api.common.RuntimeExecutionMode.BATCH);
        ObjectMapper mapper = new ObjectMapper();
        DataStream<Rule> rules =
                env.fromSource(Topics.source(args[0], args[3]), WatermarkStrategy.noWatermarks(), "rules")
                        .map(text -> mapper.readValue(text, Rule.class));
        env.fromSource(Topics.source(args), WatermarkStrategy.noWatermarks(), "payments")
                .map(text -> mapper.readValue(text, Payment.class))
                .keyBy(payment -> payment.country)
                .connect(rules.broadcast(LIMITS))
                .process(new CheckLimit())
                .sinkTo(Topics.sink(args));
        env.execute("payments");
    }
}
