package bench;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.Collections;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.datastream.AsyncDataStream;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.async.ResultFuture;
import org.apache.flink.streaming.api.functions.async.RichAsyncFunction;

/** The customer's name for each order, from a service that takes its time: {@code examples/datastream/async_lookup.rs}. */
public final class AsyncLookup {
    private AsyncLookup() {}

    /** One order. */
    public static class Order {
        public long order;
        public long customer;
    }

    static class Lookup extends RichAsyncFunction<Order, String> {
        @Override
        public void asyncInvoke(Order order, ResultFuture<String> result) {
            String name = order.customer == 0 ? "null" : "\"customer " + order.customer + "\"";
            CompletableFuture.delayedExecutor(order.customer % 10, TimeUnit.MILLISECONDS)
                    .execute(
                            () ->
                                    result.complete(
                                            Collections.singleton(
                                                    "{\"order\":" + order.order + ",\"name\":" + name + "}")));
        }
    }

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        ObjectMapper mapper = new ObjectMapper();
        DataStream<Order> orders =
                env.fromSource(Topics.source(args), WatermarkStrategy.noWatermarks(), "orders")
                        .map(text -> mapper.readValue(text, Order.class));
        AsyncDataStream.orderedWait(orders, new Lookup(), 5, TimeUnit.SECONDS, 100).sinkTo(Topics.sink(args));
        env.execute("async lookup");
    }
}
