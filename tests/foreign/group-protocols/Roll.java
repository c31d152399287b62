import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A group of three consumers is rolled from the classic protocol to the new one and back, one consumer after the other,
 * while records flow: each record must be consumed, and no partition may belong to two consumers at once.
 *
 *   Roll HOST:PORT
 */
public class Roll {
    private static final int MEMBERS = 3;
    private static final int PARTITIONS = 6;
    private static final int RATE = 200;
    private static final long STEP_SECONDS = 90;

    private final String bootstrap;
    private final String name;
    private final String assignor;
    private final boolean isStatic;
    private final Map<String, AtomicInteger> consumed = new ConcurrentHashMap<>();
    private final Map<TopicPartition, String> owners = new ConcurrentHashMap<>();
    private final List<String> faults = new ArrayList<>();
    private int started = 0;

    private Roll(String bootstrap, String name, String assignor, boolean isStatic) {
        this.bootstrap = bootstrap;
        this.name = name;
        this.assignor = "org.apache.kafka.clients.consumer." + assignor;
        this.isStatic = isStatic;
    }

    public static void main(String[] args) throws Exception {
        boolean isGood = true;
        isGood &= new Roll(args[0], "eager", "RangeAssignor", false).roll();
        isGood &= new Roll(args[0], "cooperative", "CooperativeStickyAssignor", false).roll();
        isGood &= new Roll(args[0], "static", "RangeAssignor", true).roll();
        isGood &= new Roll(args[0], "pattern", "RangeAssignor", false).match();
        System.out.println(isGood ? "passed" : "failed");
        System.exit(isGood ? 0 : 1);
    }

    private Properties common() {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        return config;
    }

    private boolean roll() throws Exception {
        String topic = "roll-" + name;
        try (Admin admin = Admin.create(common())) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
            AtomicBoolean isOver = new AtomicBoolean();
            AtomicInteger written = new AtomicInteger();
            Thread producer = new Thread(() -> produce(topic, isOver, written));
            producer.start();
            Member[] members = new Member[MEMBERS];
            for (int index = 0; index < MEMBERS; index++) {
                members[index] = new Member(topic, index, "classic");
            }
            await(admin, "all classic");
            for (String protocol : List.of("consumer", "classic")) {
                for (int index = 0; index < MEMBERS; index++) {
                    members[index].stop();
                    members[index] = new Member(topic, index, protocol);
                    await(admin, (index + 1) + " of " + MEMBERS + " to " + protocol);
                }
            }
            isOver.set(true);
            producer.join();
            return finish(members, written.get());
        }
    }

    /** A consumer of the new protocol gets all partitions of the topics that its pattern names, and learns their names. */
    private boolean match() throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (String topic : List.of("pattern-a", "pattern-b", "other-pattern-a")) {
            topics.add(new NewTopic(topic, 2, (short) 1));
        }
        Properties config = common();
        config.put("group.id", name);
        config.put("group.protocol", "consumer");
        config.put("key.deserializer", StringDeserializer.class.getName());
        config.put("value.deserializer", StringDeserializer.class.getName());
        try (Admin admin = Admin.create(common());
                KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config)) {
            admin.createTopics(topics).all().get();
            consumer.subscribe(new SubscriptionPattern("pattern-[ab]"));
            long deadline = System.nanoTime() + Duration.ofSeconds(STEP_SECONDS).toNanos();
            while (consumer.assignment().size() < 4 && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(100));
            }
            TreeSet<String> assigned = new TreeSet<>();
            consumer.assignment().forEach(partition -> assigned.add(partition.toString()));
            System.out.println(name + ": " + assigned);
            return assigned.size() == 4;
        }
    }

    private boolean finish(Member[] members, int written) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(STEP_SECONDS).toNanos();
        while (consumed.size() < written && System.nanoTime() < deadline) {
            Thread.sleep(50);
        }
        for (Member member : members) {
            member.stop();
        }
        int missing = 0;
        int twice = 0;
        for (int number = 0; number < written; number++) {
            AtomicInteger count = consumed.get(Integer.toString(number));
            missing += count == null ? 1 : 0;
            twice += count != null && count.get() > 1 ? 1 : 0;
        }
        System.out.println(name + ": missing " + missing + ", twice " + twice + ", faults " + faults);
        return missing == 0 && twice == 0 && faults.isEmpty();
    }

    private void produce(String topic, AtomicBoolean isOver, AtomicInteger written) {
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(common(), new StringSerializer(), new StringSerializer())) {
            while (!isOver.get()) {
                int number = written.getAndIncrement();
                producer.send(new ProducerRecord<>(topic, number % PARTITIONS, null, Integer.toString(number)));
                Thread.sleep(1000 / RATE);
            }
        } catch (InterruptedException interrupted) {
            fault("the producer was interrupted");
        }
    }

    private synchronized void fault(String text) {
        faults.add(text);
    }

    /** Waits until the group is stable with all members, and says what it is then. */
    private void await(Admin admin, String step) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(STEP_SECONDS).toNanos();
        String last = "";
        while (System.nanoTime() < deadline) {
            ConsumerGroupDescription group = describe(admin);
            if (group != null) {
                Map<TopicPartition, Integer> assigned = new HashMap<>();
                group.members().forEach(member -> member.assignment().topicPartitions()
                    .forEach(partition -> assigned.merge(partition, 1, Integer::sum)));
                boolean hasAll = assigned.size() == PARTITIONS && owners.size() == PARTITIONS;
                last = group.type() + " " + group.groupState() + " " + group.members().size() + " members";
                if (group.groupState().toString().equals("Stable") && group.members().size() == MEMBERS && hasAll) {
                    System.out.println(name + ": " + step + ": " + last);
                    return;
                }
            }
            Thread.sleep(100);
        }
        fault(step + " did not settle: " + last);
    }

    private ConsumerGroupDescription describe(Admin admin) throws InterruptedException {
        try {
            return admin.describeConsumerGroups(List.of("roll-" + name)).all().get().get("roll-" + name);
        } catch (java.util.concurrent.ExecutionException notYet) {
            return null;
        }
    }

    /** One consumer with its thread. */
    private class Member implements ConsumerRebalanceListener {
        private final String id;
        private final KafkaConsumer<String, String> consumer;
        private final Thread thread;
        private volatile boolean isStopped;

        Member(String topic, int index, String protocol) {
            id = protocol + "-" + index + "-" + started++;
            Properties config = common();
            config.put("group.id", "roll-" + name);
            config.put("client.id", id);
            config.put("group.protocol", protocol);
            config.put("auto.offset.reset", "earliest");
            config.put("enable.auto.commit", "false");
            if (isStatic) {
                config.put("group.instance.id", "instance-" + index);
            }
            if (protocol.equals("classic")) {
                config.put("partition.assignment.strategy", assignor);
                config.put("heartbeat.interval.ms", "500");
            }
            consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
            consumer.subscribe(List.of(topic), this);
            thread = new Thread(this::run, id);
            thread.start();
        }

        void stop() throws InterruptedException {
            isStopped = true;
            thread.join();
        }

        private void run() {
            try (consumer) {
                boolean isCommitted = false;
                while (!isStopped || !isCommitted) {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50))) {
                        consumed.computeIfAbsent(record.value(), key -> new AtomicInteger()).incrementAndGet();
                    }
                    isCommitted = commit();
                }
            } catch (RuntimeException error) {
                fault(id + ": " + error);
            }
            owners.values().removeIf(id::equals);
        }

        /** Whether everything up to here is committed; in a rebalance of the classic protocol it has to wait. */
        private boolean commit() {
            try {
                consumer.commitSync();
                return true;
            } catch (RebalanceInProgressException later) {
                return false;
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            for (TopicPartition partition : partitions) {
                String other = owners.put(partition, id);
                // A static member that was stopped keeps its place for the one that follows.
                if (other != null && !other.equals(id)) {
                    fault(partition + " went from " + other + " to " + id + " before it was given up");
                }
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            commit(); // what was read while the rebalance began could not be committed before
            partitions.forEach(partition -> owners.remove(partition, id));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            fault(id + " lost " + partitions);
            onPartitionsRevoked(partitions);
        }
    }
}
