package bench;

import java.util.Properties;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;

/** Topics of strings. Arguments of every program: bootstrap servers, input topic, output topic. */
final class Topics {
    private Topics() {}

    /** Everything that is in the topic when the job starts. */
    static KafkaSource<String> source(String[] args) {
        return source(args[0], args[1]);
    }

    static KafkaSource<String> source(String bootstrapServers, String topic) {
        return KafkaSource.<String>builder()
                .setBootstrapServers(bootstrapServers)
                .setTopics(topic)
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setBounded(OffsetsInitializer.latest())
                .setValueOnlyDeserializer(new SimpleStringSchema())
                .build();
    }

    static KafkaSink<String> sink(String[] args) {
        Properties properties = new Properties();
        properties.setProperty("transaction.timeout.ms", "600000");
        return KafkaSink.<String>builder()
                .setBootstrapServers(args[0])
                .setKafkaProducerConfig(properties)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setRecordSerializer(
                        KafkaRecordSerializationSchema.builder()
                                .setTopic(args[2])
                                .setValueSerializationSchema(new SimpleStringSchema())
                                .build())
                .build();
    }
}
