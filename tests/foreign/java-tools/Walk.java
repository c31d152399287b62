import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's own command line tools one after the other in one process, against any broker, and prints what they print
 * with everything that differs from run to run replaced. The commands stand in a text file, one a line:
 *
 *   # comment                              a line that is printed
 *   FILE name content                      makes a file; @name in later lines is its path
 *   TRANSACTION id topic                   a producer begins a transaction, writes a record and leaves it open
 *   FINISH id                              commits it; prints how that ended
 *   JOIN group topic classic|consumer      a consumer joins and stays
 *   LEAVE group                            and leaves
 *   kafka-topics --create ...              a tool; --bootstrap-server is added
 *   kafka-console-producer ... <<< a|b     with lines for its standard input
 *   SORT tool ...                          its lines are sorted, where their order is not defined
 */
public class Walk {
    private static final Map<String, String[]> TOOLS = new HashMap<>();

    static {
        String t = "org.apache.kafka.tools.";
        TOOLS.put("kafka-topics", new String[] {t + "TopicCommand"});
        TOOLS.put("kafka-configs", new String[] {t + "ConfigCommand", "kafka.admin.ConfigCommand"});
        TOOLS.put("kafka-acls", new String[] {t + "AclCommand", "kafka.admin.AclCommand"});
        TOOLS.put("kafka-consumer-groups", new String[] {t + "consumer.group.ConsumerGroupCommand"});
        TOOLS.put("kafka-groups", new String[] {t + "GroupsCommand"});
        TOOLS.put("kafka-transactions", new String[] {t + "TransactionsCommand"});
        TOOLS.put("kafka-log-dirs", new String[] {t + "LogDirsCommand"});
        TOOLS.put("kafka-console-producer", new String[] {t + "ConsoleProducer"});
        TOOLS.put("kafka-console-consumer", new String[] {t + "consumer.ConsoleConsumer"});
        TOOLS.put("kafka-get-offsets", new String[] {t + "GetOffsetShell"});
        TOOLS.put("kafka-delete-records", new String[] {t + "DeleteRecordsCommand"});
        TOOLS.put("kafka-reassign-partitions", new String[] {t + "reassign.ReassignPartitionsCommand"});
        TOOLS.put("kafka-leader-election", new String[] {t + "LeaderElectionCommand"});
        TOOLS.put("kafka-features", new String[] {t + "FeatureCommand"});
        TOOLS.put("kafka-metadata-quorum", new String[] {t + "MetadataQuorumCommand"});
        TOOLS.put("kafka-broker-api-versions", new String[] {t + "BrokerApiVersionsCommand"});
        TOOLS.put("kafka-cluster", new String[] {t + "ClusterTool"});
        TOOLS.put("kafka-verifiable-producer", new String[] {t + "VerifiableProducer"});
    }

    private static final Set<String> HAS_SUBCOMMANDS =
        Set.of("kafka-transactions", "kafka-features", "kafka-metadata-quorum");

    private final String bootstrap;
    private final Path directory;
    private final PrintStream out = System.out;
    private final Map<String, KafkaProducer<String, String>> transactions = new TreeMap<>();
    private final Map<String, Member> members = new TreeMap<>();

    private Walk(String bootstrap, Path directory) {
        this.bootstrap = bootstrap;
        this.directory = directory;
    }

    private static final class Ended extends RuntimeException {
        Ended() {
            super("ended", null, false, false);
        }
    }

    /** What the tool wanted to exit with; some catch what is thrown here and exit again. */
    private static int exitCode = -1;

    private static void end(int code, String message) {
        exitCode = exitCode < 0 ? code : exitCode;
        throw new Ended();
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            System.err.println("usage: Walk HOST:PORT FILE");
            System.exit(2);
        }
        Exit.setExitProcedure(Walk::end);
        Exit.setHaltProcedure(Walk::end);
        Walk walk = new Walk(args[0], Files.createTempDirectory("walk"));
        for (String line : Files.readAllLines(Path.of(args[1]))) {
            walk.step(line.trim());
        }
        for (String group : List.copyOf(walk.members.keySet())) {
            walk.leave(group);
        }
        walk.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private void step(String line) throws Exception {
        if (line.isEmpty()) {
            return;
        }
        out.println((line.startsWith("#") ? "\n" : "$ ") + line);
        String[] words = line.split(" ");
        switch (words[0]) {
            case "#" -> { }
            case "FILE" -> Files.writeString(directory.resolve(words[1]), line.split(" ", 3)[2]);
            case "TRANSACTION" -> begin(words[1], words[2]);
            case "FINISH" -> finish(words[1]);
            case "JOIN" -> join(words[1], words[2], words[3]);
            case "LEAVE" -> leave(words[1]);
            case "SORT" -> tool(line.substring(5), true);
            default -> tool(line, false);
        }
    }

    private void begin(String id, String topic) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("transactional.id", id);
        config.put("transaction.timeout.ms", "600000");
        config.put("client.id", id);
        var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 0, "key", "of " + id)).get();
        transactions.put(id, producer);
    }

    private void finish(String id) {
        var producer = transactions.remove(id);
        try {
            producer.commitTransaction();
            out.println("committed");
        } catch (RuntimeException error) {
            out.println(error.getClass().getSimpleName());
        }
        producer.close(Duration.ZERO);
    }

    private static final class Member {
        final Thread thread;
        volatile boolean stopping;

        Member(Thread thread) {
            this.thread = thread;
        }
    }

    private void join(String group, String topic, String protocol) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("group.id", group);
        config.put("client.id", "walker");
        config.put("group.protocol", protocol);
        config.put("auto.offset.reset", "earliest");
        CountDownLatch read = new CountDownLatch(1);
        Member[] self = new Member[1];
        Thread thread = new Thread(() -> {
            try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
                consumer.subscribe(List.of(topic));
                while (!self[0].stopping) {
                    consumer.poll(Duration.ofMillis(100));
                    if (consumer.assignment().isEmpty()) {
                        continue;
                    }
                    consumer.commitSync();
                    boolean isPlaced = consumer.committed(consumer.assignment()).values().stream().allMatch(at -> at != null);
                    if (isPlaced) {
                        read.countDown();
                    }
                }
            }
        });
        self[0] = new Member(thread);
        members.put(group, self[0]);
        thread.start();
        if (!read.await(60, TimeUnit.SECONDS)) {
            out.println("nothing was assigned");
        }
    }

    private void leave(String group) throws Exception {
        Member member = members.remove(group);
        member.stopping = true;
        member.thread.join();
    }

    private void tool(String line, boolean sorted) throws Exception {
        String input = "";
        int at = line.indexOf("<<< ");
        if (at >= 0) {
            input = line.substring(at + 4).replace('|', '\n') + "\n";
            line = line.substring(0, at).trim();
        }
        List<String> args = new ArrayList<>(List.of(line.split(" ")));
        String name = args.remove(0);
        for (int i = 0; i < args.size(); i++) {
            String arg = args.get(i);
            args.set(i, arg.startsWith("@") ? directory.resolve(arg.substring(1)).toString() : arg.replace('~', ' '));
        }
        // Tools with subcommands want it before them, the others take it anywhere.
        int place = HAS_SUBCOMMANDS.contains(name) ? 0 : args.size();
        args.addAll(place, List.of("--bootstrap-server", bootstrap));
        String shown = run(name, args.toArray(new String[0]), input);
        var lines = shown.lines().map(this::steady).filter(Walk::isTold);
        (sorted ? lines.sorted() : lines).forEach(out::println);
    }

    private String run(String name, String[] args, String input) throws Exception {
        Class<?> tool = null;
        for (String candidate : TOOLS.getOrDefault(name, new String[0])) {
            try {
                tool = Class.forName(candidate);
                break;
            } catch (ClassNotFoundException ignored) {
                // the tool has another class in this version
            }
        }
        if (tool == null) {
            return "no such tool: " + name;
        }
        var bytes = new ByteArrayOutputStream();
        var shown = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        PrintStream error = System.err;
        InputStream standard = System.in;
        System.setOut(shown);
        System.setErr(shown);
        System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
        exitCode = -1;
        String end = "";
        try {
            tool.getMethod("main", String[].class).invoke(null, (Object) args);
        } catch (java.lang.reflect.InvocationTargetException failure) {
            Throwable cause = failure.getCause();
            end = cause instanceof Ended ? "" : cause.toString();
        } finally {
            System.setOut(out);
            System.setErr(error);
            System.setIn(standard);
        }
        String code = exitCode > 0 ? "exit " + exitCode : "";
        return bytes.toString(StandardCharsets.UTF_8) + "\n" + end + "\n" + code;
    }

    /** Neither empty nor part of a stack trace. */
    private static boolean isTold(String line) {
        boolean isTrace = line.startsWith("at ") || line.startsWith("Caused by:") || line.startsWith("... ");
        return !line.isBlank() && !isTrace && !line.contains("Walk$Ended") && !line.equals("ended");
    }

    /** Without what is different each time. */
    private String steady(String line) {
        String port = bootstrap.substring(bootstrap.indexOf(':') + 1);
        return line
            .replace(directory.toString(), "DIRECTORY")
            .replaceAll("walker-[0-9a-f-]{36}", "walker-UUID")
            .replaceAll("console-consumer-\\d+", "console-consumer-N")
            .replaceAll("\\b[A-Za-z0-9_-]{22}(?= +/)", "MEMBER")
            .replaceAll("kafka.(Client)?Request[(].*", "REQUEST")
            .replaceAll("Request Request[(].*", "REQUEST")
            .replaceAll("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID")
            .replaceAll("(TopicId: |ClusterId: *|Cluster ID: |ID: |directoryId=|UUID: )[A-Za-z0-9_-]{22}", "$1ID")
            .replaceAll("\\b" + port + "\\b", "PORT")
            .replaceAll("\\b1[6-9]\\d{11}\\b", "TIME")
            .replaceAll("\\d{4}-\\d\\d-\\d\\dT[0-9:.]+Z", "TIME")
            .replaceAll("^\\[\\d{4}-\\d\\d-\\d\\d [0-9:,]+\\]", "[TIME]")
            .replaceAll("\"(logDir)\":\"[^\"]*\"", "\"$1\":\"DIR\"")
            .replaceAll("^[ \\t]+|[ \\t]+$", "")
            .replaceAll("[ \\t]{2,}", "  ");
    }
}
