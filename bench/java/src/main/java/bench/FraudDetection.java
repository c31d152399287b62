package bench;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** The walkthrough of Flink's documentation, by event time. */
public final class FraudDetection {
    private FraudDetection() {}

    /** One payment. */
    public static class Transaction {
        public long account;
        public double amount;
        public long ts;
    }

    static class FraudDetector extends KeyedProcessFunction<Long, Transaction, String> {
        private transient ValueState<Boolean> flag;
        private transient ValueState<Long> timer;

        @Override
        public void open(OpenContext context) {
            flag = getRuntimeContext().getState(new ValueStateDescriptor<>("flag", Types.BOOLEAN));
            timer = getRuntimeContext().getState(new ValueStateDescriptor<>("timer-state", Types.LONG));
        }

        @Override
        public void processElement(Transaction transaction, Context context, Collector<String> out)
                throws Exception {
            if (flag.value() != null) {
                if (transaction.amount > 500.0) {
                    out.collect(
                            "{\"account\":" + transaction.account + ",\"ts\":" + transaction.ts + "}");
                }
                if (timer.value() != null) {
                    context.timerService().deleteEventTimeTimer(timer.value());
                }
                timer.clear();
                flag.clear();
            }
            if (transaction.amount < 1.0) {
                flag.update(true);
                long time = transaction.ts + 60 * 1000;
                context.timerService().registerEventTimeTimer(time);
                timer.update(time);
            }
        }

        @Override
        public void onTimer(long timestamp, OnTimerContext context, Collector<String> out) {
            timer.clear();
            flag.clear();
        }
    }

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        ObjectMapper mapper = new ObjectMapper();
        env.fromSource(Topics.source(args), WatermarkStrategy.noWatermarks(), "transactions")
                .map(text -> mapper.readValue(text, Transaction.class))
                .assignTimestampsAndWatermarks(
                        Times.<Transaction>boundedBy(args, Duration.ZERO)
                                .withTimestampAssigner((transaction, time) -> transaction.ts))
                .keyBy(transaction -> transaction.account)
                .process(new FraudDetector())
                .sinkTo(Topics.sink(args));
        env.execute("fraud detection");
    }
}
