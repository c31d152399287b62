import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Produced;

/**
 * A Kafka Streams application that counts by key with exactly_once_v2, and what is needed to prove it exact.
 *
 *   create HOST:PORT            makes the topics
 *   produce HOST:PORT N RATE    writes N records over all keys, RATE a second
 *   count HOST:PORT DIRECTORY   counts until it is killed; its state is in DIRECTORY
 *   check HOST:PORT N SECONDS   waits until the output is complete, and says whether each key has 1, 2, 3, ... once each
 *   copied HOST:PORT N SECONDS  the same for a copy of the input: each of 0 .. N-1 once
 */
public class Streams {
    private static final String INPUT = "streams-in";
    private static final String OUTPUT = "streams-out";
    private static final int KEYS = 97;
    private static final int PARTITIONS = 4;

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "create" -> create(args[1]);
            case "produce" -> produce(args[1], Integer.parseInt(args[2]), Integer.parseInt(args[3]));
            case "count" -> count(args[1], args[2]);
            case "check" -> check(args[1], Integer.parseInt(args[2]), Integer.parseInt(args[3]));
            case "copied" -> copied(args[1], Integer.parseInt(args[2]), Integer.parseInt(args[3]));
            default -> throw new IllegalArgumentException(args[0]);
        }
        System.exit(0);
    }

    private static Properties config(String bootstrap) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        return config;
    }

    private static void create(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(config(bootstrap))) {
            short one = 1;
            admin.createTopics(List.of(new NewTopic(INPUT, PARTITIONS, one), new NewTopic(OUTPUT, PARTITIONS, one))).all().get();
        }
    }

    private static void produce(String bootstrap, int records, int rate) throws Exception {
        AtomicReference<Exception> failure = new AtomicReference<>();
        long start = System.nanoTime();
        try (var producer = new KafkaProducer<>(config(bootstrap), new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < records; i++) {
                producer.send(new ProducerRecord<>(INPUT, "key-" + i % KEYS, Integer.toString(i)), (sent, error) -> {
                    if (error != null) {
                        failure.set(error);
                    }
                });
                long ahead = i * 1_000_000_000L / rate - (System.nanoTime() - start);
                if (ahead > 1_000_000) {
                    Thread.sleep(ahead / 1_000_000);
                }
            }
        }
        if (failure.get() != null) {
            throw failure.get();
        }
        System.out.println("produced " + records);
    }

    private static void count(String bootstrap, String directory) throws Exception {
        Properties config = config(bootstrap);
        config.put("application.id", "streams-walk");
        config.put("state.dir", directory);
        config.put("processing.guarantee", "exactly_once_v2");
        config.put("commit.interval.ms", "100");
        config.put("statestore.cache.max.bytes", "0");
        config.put("num.stream.threads", "2");
        config.put("default.key.serde", Serdes.StringSerde.class);
        config.put("default.value.serde", Serdes.StringSerde.class);
        config.put("consumer.auto.offset.reset", "earliest");
        config.put("consumer.session.timeout.ms", "10000");
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(INPUT).groupByKey().count().toStream().to(OUTPUT, Produced.with(Serdes.String(), Serdes.Long()));
        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        streams.start();
        Thread.sleep(Long.MAX_VALUE);
    }

    private static void check(String bootstrap, int records, int seconds) {
        Map<String, Long> last = new HashMap<>();
        read(bootstrap, records, seconds, new LongDeserializer(), record -> {
            long expected = last.merge(record.key(), 1L, Long::sum);
            if (record.value() != expected) {
                throw new IllegalStateException(record + ", not " + expected);
            }
        });
        System.out.println("exact: " + records + " records, " + last.size() + " keys");
    }

    private static void copied(String bootstrap, int records, int seconds) {
        BitSet seen = new BitSet(records);
        read(bootstrap, records, seconds, new StringDeserializer(), record -> {
            int value = Integer.parseInt(record.value().trim());
            if (seen.get(value)) {
                throw new IllegalStateException("twice: " + record);
            }
            seen.set(value);
        });
        System.out.println("exact: " + seen.cardinality() + " records");
    }

    /** Hands out what is committed in the output, until all is there and two seconds more, to see what should not come. */
    private static <V> void read(
            String bootstrap, int records, int seconds, Deserializer<V> values, Consumer<ConsumerRecord<String, V>> seen) {
        Properties config = config(bootstrap);
        config.put("isolation.level", "read_committed");
        config.put("enable.auto.commit", "false");
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        int read = 0;
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), values)) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int i = 0; i < PARTITIONS; i++) {
                partitions.add(new TopicPartition(OUTPUT, i));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long complete = Long.MAX_VALUE;
            while (System.nanoTime() < Math.min(end, complete)) {
                for (ConsumerRecord<String, V> record : consumer.poll(Duration.ofMillis(200))) {
                    read++;
                    seen.accept(record);
                }
                if (read >= records && complete == Long.MAX_VALUE) {
                    complete = System.nanoTime() + 2_000_000_000L;
                }
            }
        }
        if (read != records) {
            throw new IllegalStateException("read " + read + " of " + records);
        }
    }
}
