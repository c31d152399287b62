import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.jar.JarFile;
import org.apache.flink.formats.common.TimestampFormat;
import org.apache.flink.formats.json.JsonFormatOptions;
import org.apache.flink.formats.json.JsonRowDataSerializationSchema;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.internal.TableEnvironmentImpl;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.UnresolvedIdentifier;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.conversion.DataStructureConverter;
import org.apache.flink.table.data.conversion.DataStructureConverters;
import org.apache.flink.table.test.program.*;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.types.Row;
import org.apache.flink.util.TimeUtils;

/** Prints every TableTestProgram of the classes of a jar as a line of JSON: tables, rows, statements, expected results. */
public class Dump {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        try (JarFile jar = new JarFile(args[0])) {
            for (var entry : Collections.list(jar.entries())) {
                if (entry.getName().matches("[^$]*TestPrograms\\.class")) {
                    dump(entry.getName().replace('/', '.').replaceFirst("\\.class$", ""));
                }
            }
        }
        System.exit(0); // threads of test classes may be left
    }

    private static void dump(String className) throws Exception {
        Class<?> programs = Class.forName(className);
        for (Field field : programs.getDeclaredFields()) {
            if (field.getType() != TableTestProgram.class || !Modifier.isStatic(field.getModifiers())) {
                continue;
            }
            field.setAccessible(true);
            TableTestProgram program = (TableTestProgram) field.get(null);
            Map<String, Object> found = new LinkedHashMap<>();
            found.put("class", programs.getSimpleName().replace("TestPrograms", ""));
            found.put("id", program.id);
            found.put("description", program.description);
            TableEnvironment env = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
            found.put("setup", steps(env, program.setupSteps));
            found.put("run", steps(env, program.runSteps));
            System.out.println(MAPPER.writeValueAsString(found));
        }
    }

    private static List<Object> steps(TableEnvironment env, List<TestStep> steps) {
        List<Object> found = new ArrayList<>();
        for (TestStep step : steps) {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("kind", step.getKind().name());
            try {
                describe(env, step, fields);
            } catch (Throwable failure) {
                fields.put("failure", failure.toString());
            }
            found.add(fields);
        }
        return found;
    }

    private static void describe(TableEnvironment env, TestStep step, Map<String, Object> fields) throws Exception {
        if (step instanceof ConfigOptionTestStep<?> config) {
            fields.put("key", config.option.key());
            fields.put("value", text(config.value));
            config.apply(env);
        } else if (step instanceof SqlTestStep sql) {
            fields.put("sql", sql.sql);
            if (sql.sql.stripLeading().toUpperCase().startsWith("CREATE")) {
                sql.apply(env);
            }
        } else if (step instanceof FailingSqlTestStep failing) {
            fields.put("sql", failing.sql);
            fields.put("error", failing.expectedErrorMessage);
            fields.put("exception", failing.expectedException.getSimpleName());
        } else if (step instanceof StatementSetTestStep set) {
            fields.put("statements", set.statements);
        } else if (step instanceof FunctionTestStep function) {
            fields.put("name", function.name);
            fields.put("function", function.function.getName());
            function.apply(env);
        } else if (step instanceof TemporalFunctionTestStep function) {
            fields.put("name", function.name);
            fields.put("table", function.table);
            function.apply(env);
        } else if (step instanceof ModelTestStep model) {
            fields.put("name", model.name);
        } else if (step instanceof FailingTableApiTestStep failing) {
            fields.put("error", failing.expectedErrorMessage);
            fields.put("sql", asSql(failing.toTable(env), null));
        } else if (step instanceof TableApiTestStep api) {
            Field sink = TableApiTestStep.class.getDeclaredField("sinkName");
            sink.setAccessible(true);
            fields.put("sql", asSql(api.toTable(env), (String) sink.get(api)));
        } else if (step instanceof TableTestStep table) {
            table(env, table, fields);
        }
    }

    private static String asSql(Table table, String sink) {
        String query = table.getQueryOperation().asSerializableString();
        return sink == null ? query : "INSERT INTO " + sink + " " + query;
    }

    private static void table(TableEnvironment env, TableTestStep table, Map<String, Object> fields) throws Exception {
        fields.put("name", table.name);
        fields.put("schema", table.schemaComponents);
        fields.put("partitions", table.partitionKeys);
        fields.put("options", table.options);
        table.apply(env, Map.of("connector", "values"));
        if (table instanceof SourceTestStep source) {
            fields.put("before", rows(env, table.name, source.dataBeforeRestore));
            fields.put("after", rows(env, table.name, source.dataAfterRestore));
            fields.put("consumed", source.treatDataBeforeRestoreAsConsumedData);
        } else if (table instanceof SinkTestStep sink) {
            fields.put("before", orNull(sink.expectedBeforeRestore, sink.expectedBeforeRestoreStrings));
            fields.put("after", orNull(sink.expectedAfterRestore, sink.expectedAfterRestoreStrings));
            fields.put("materialized", orNull(sink.expectedMaterializedRows, sink.expectedMaterializedStrings));
            fields.put("changelog", sink.testChangelogData);
        }
    }

    private static List<String> orNull(List<Row> rows, List<String> strings) {
        return rows != null ? rows.stream().map(Dump::text).toList() : strings;
    }

    private static String text(Object value) {
        if (value instanceof Duration duration) {
            return TimeUtils.formatWithHighestUnit(duration);
        }
        return value instanceof Enum<?> constant ? constant.name() : String.valueOf(value);
    }

    /** Each row's kind and its JSON object as Flink's json format writes it. */
    private static List<List<String>> rows(TableEnvironment env, String table, List<Row> rows) throws Exception {
        if (rows == null) {
            return null;
        }
        List<DataTypes.Field> physical = new ArrayList<>();
        for (Column column : env.from(table).getResolvedSchema().getColumns()) {
            if (isStored(env, table, column.getName())) {
                physical.add(DataTypes.FIELD(column.getName(), column.getDataType()));
            }
        }
        DataType type = DataTypes.ROW(physical).notNull();
        DataStructureConverter<Object, Object> converter = DataStructureConverters.getConverter(type);
        converter.open(Dump.class.getClassLoader());
        JsonRowDataSerializationSchema json = new JsonRowDataSerializationSchema(
                (RowType) type.getLogicalType(), TimestampFormat.SQL, JsonFormatOptions.MapNullKeyMode.LITERAL, "null", false, false);
        json.open(null);
        List<List<String>> found = new ArrayList<>();
        for (Row row : rows) {
            RowData data = (RowData) converter.toInternal(row);
            found.add(List.of(row.getKind().shortString(), new String(json.serialize(data), StandardCharsets.UTF_8)));
        }
        return found;
    }

    /** Whether the rows hold the column: it is the connector's, not computed. */
    private static boolean isStored(TableEnvironment env, String table, String column) throws Exception {
        var impl = (TableEnvironmentImpl) env;
        var path = impl.getCatalogManager().qualifyIdentifier(
                UnresolvedIdentifier.of(table));
        var schema = impl.getCatalogManager().getTableOrError(path).getResolvedTable().getResolvedSchema();
        return schema.getColumn(column).map(c -> c.isPhysical() || c instanceof Column.MetadataColumn).orElse(false);
    }
}
