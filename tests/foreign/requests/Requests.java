import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.RequestUtils;
import org.apache.kafka.common.requests.ResponseHeader;

/**
 * Sends requests as they stand in a file, one after the other on one connection, and prints each with its answer as JSON.
 *
 * <p>A line is `API VERSION {fields}`; fields that are not given have their defaults. `name@/path=` before the API keeps a
 * part of the answer, which is `$name` in later lines. `sleep MS` waits.
 */
public class Requests {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int PATIENCE_MS = 8_000;

    private final String host;
    private final int port;
    private final Map<String, String> kept = new TreeMap<>();
    private Socket socket;

    private Requests(String address) {
        int colon = address.lastIndexOf(':');
        host = address.substring(0, colon);
        port = Integer.parseInt(address.substring(colon + 1));
    }

    public static void main(String[] args) throws Exception {
        Requests requests = new Requests(args[0]);
        for (String line : Files.readAllLines(Path.of(args[1]))) {
            if (line.startsWith("sleep ")) {
                Thread.sleep(Long.parseLong(line.substring(6)));
            } else if (!line.isBlank() && !line.startsWith("#")) {
                requests.send(line);
            }
        }
    }

    private void send(String line) throws Exception {
        String[] parts = line.split(" ", 3);
        String keeps = null;
        if (parts[0].contains("=")) {
            keeps = parts[0].substring(0, parts[0].indexOf('='));
            parts[0] = parts[0].substring(keeps.length() + 1);
        }
        String fields = parts[2];
        for (Map.Entry<String, String> each : kept.entrySet()) {
            fields = fields.replace("$" + each.getKey(), each.getValue());
        }
        System.out.println(line);
        System.out.println("\t" + answer(ApiKeys.valueOf(parts[0]), Short.parseShort(parts[1]), fields, keeps));
    }

    private String answer(ApiKeys key, short version, String fields, String keeps) throws Exception {
        try {
            JsonNode answer = exchange(key, version, (ObjectNode) MAPPER.readTree(fields));
            if (keeps != null) {
                String[] path = keeps.split("@");
                kept.put(path[0], answer.at(path[1]).asText());
            }
            return answer.toString();
        } catch (SocketTimeoutException error) {
            disconnect();
            return "no answer";
        } catch (IOException error) {
            disconnect();
            return "closed";
        } catch (InvocationTargetException error) {
            return "cannot be sent: " + error.getCause();
        }
    }

    private void disconnect() throws IOException {
        if (socket != null) {
            socket.close();
        }
        socket = null;
    }

    private JsonNode exchange(ApiKeys key, short version, ObjectNode fields) throws Exception {
        if (socket == null) {
            socket = new Socket(host, port);
            socket.setSoTimeout(PATIENCE_MS);
        }
        ApiMessageType type = ApiMessageType.fromApiKey(key.id);
        ApiMessage blank = type.newRequest();
        complete(fields, blank, version);
        ApiMessage request = (ApiMessage) converter(blank.getClass())
            .getMethod("read", JsonNode.class, short.class)
            .invoke(null, fields, version);
        RequestHeader header = new RequestHeader(key, version, "requests", 7);
        ByteBuffer bytes = RequestUtils.serialize(header.data(), header.headerVersion(), request, version);
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        ByteBuffer frame = ByteBuffer.allocate(4 + bytes.remaining()).putInt(bytes.remaining()).put(bytes);
        out.write(frame.array());
        DataInputStream in = new DataInputStream(socket.getInputStream());
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        ByteBufferAccessor reader = new ByteBufferAccessor(ByteBuffer.wrap(answer));
        ResponseHeader.parse(reader.buffer(), key.responseHeaderVersion(version));
        ApiMessage response = type.newResponse();
        response.read(reader, version);
        return json(response, version);
    }

    private static Class<?> converter(Class<?> of) throws ClassNotFoundException {
        String[] names = of.getName().split("\\$");
        String outer = names[0] + "JsonConverter";
        return Class.forName(names.length == 1 ? outer : outer + "$" + names[1] + "JsonConverter");
    }

    private static JsonNode json(Object message, short version) throws Exception {
        for (Method method : converter(message.getClass()).getMethods()) {
            if (method.getName().equals("write") && method.getParameterCount() == 2) {
                return (JsonNode) method.invoke(null, message, version);
            }
        }
        throw new IllegalStateException("no form in JSON for " + message.getClass());
    }

    /** Puts in the defaults of what is not given. */
    private static void complete(ObjectNode given, Object blank, short version) throws Exception {
        JsonNode defaults = json(blank, version);
        for (String name : names(defaults)) {
            if (!given.has(name)) {
                given.set(name, defaults.get(name));
            }
        }
        for (String name : names(given)) {
            JsonNode value = given.get(name);
            Method getter = blank.getClass().getMethod(name);
            if (value.isObject()) {
                Object inner = getter.getReturnType().getDeclaredConstructor().newInstance();
                complete((ObjectNode) value, inner, version);
            }
            for (JsonNode element : value.isArray() ? value : MAPPER.createArrayNode()) {
                if (element.isObject()) {
                    Class<?> type = elementOf(getter.getGenericReturnType());
                    complete((ObjectNode) element, type.getDeclaredConstructor().newInstance(), version);
                }
            }
        }
    }

    private static List<String> names(JsonNode node) {
        List<String> names = new ArrayList<>();
        node.fieldNames().forEachRemaining(names::add);
        return names;
    }

    private static Class<?> elementOf(Type collection) {
        Type list = collection instanceof Class<?> of ? of.getGenericSuperclass() : collection;
        return (Class<?>) ((ParameterizedType) list).getActualTypeArguments()[0];
    }
}
