package bench;

import java.time.Duration;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.Collector;

/** Word count over windows of ten seconds of the records' timestamps. */
public final class WordCount {
    private WordCount() {}

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSource(Topics.source(args), Times.boundedBy(args, Duration.ZERO), "input")
                .flatMap(
                        (String line, Collector<Tuple2<String, Long>> out) -> {
                            for (String word : line.split("\\s+")) {
                                if (!word.isEmpty()) {
                                    out.collect(Tuple2.of(word, 1L));
                                }
                            }
                        })
                .returns(Types.TUPLE(Types.STRING, Types.LONG))
                .keyBy(count -> count.f0)
                .window(TumblingEventTimeWindows.of(Duration.ofSeconds(10)))
                .reduce((a, b) -> Tuple2.of(a.f0, a.f1 + b.f1))
                .map(count -> count.f0 + "," + count.f1)
                .sinkTo(Topics.sink(args));
        env.execute("word count");
    }
}
