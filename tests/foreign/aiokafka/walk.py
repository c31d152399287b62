"""A walk through a broker with aiokafka: topics, codecs, groups, idempotence and transactions.

Each step prints a line; the first that is not as it should be ends the walk with status 1.
"""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import ProducerFenced

BOOTSTRAP = sys.argv[1]
SUFFIX = f"{time.time_ns():x}"
passed = 0


def name(what):
    return f"aiokafka-{what}-{SUFFIX}"


def ok(what):
    global passed
    passed += 1
    print("ok", what, flush=True)


async def read(topic, count, wait_ms=20_000, **options):
    """The values of a topic from its beginning, `count` of them or what comes in time, and no more after them."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", **options)
    await consumer.start()
    values = []
    end = time.monotonic() + wait_ms / 1000
    try:
        while len(values) < count and time.monotonic() < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                values += [record.value.decode() for record in records]
        for records in (await consumer.getmany(timeout_ms=300)).values():
            values += [record.value.decode() for record in records]
        if options.get("group_id"):
            await consumer.commit()
    finally:
        await consumer.stop()
    return values


async def topics(admin):
    topic = name("t")
    await admin.create_topics([NewTopic(topic, 2, 1)])
    await admin.create_partitions({topic: NewPartitions(3)})
    described = await admin.describe_topics([topic])
    assert len(described[0]["partitions"]) == 3, described
    ok("create a topic, add a partition, describe it")
    return topic


async def codecs(topic):
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec) as producer:
            sent = await producer.send_and_wait(topic, f"codec {codec}".encode(), partition=0)
            assert sent.offset >= 0
    got = await read(topic, 5, group_id=name("g"), enable_auto_commit=False)
    assert got == [f"codec {codec}" for codec in [None, "gzip", "snappy", "lz4", "zstd"]], got
    ok("produce and read with every codec")


async def idempotence(topic):
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True) as producer:
        sent = await asyncio.gather(*[await producer.send(topic, str(i).encode(), partition=1) for i in range(500)])
    assert [each.offset for each in sent] == list(range(500))
    ok("an idempotent producer keeps its order")


async def groups(topic):
    got = await read(topic, 500, group_id=name("g"))
    assert got == [str(i) for i in range(500)], len(got)
    ok("a group goes on where it was")
    first, second = [
        AIOKafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=name("shared"), metadata_max_age_ms=1000)
        for _ in range(2)
    ]
    await first.start()
    await second.start()
    for _ in range(100):
        await asyncio.gather(first.getmany(timeout_ms=100), second.getmany(timeout_ms=100))
        if first.assignment() and second.assignment():
            break
    assert len(first.assignment() | second.assignment()) == 3
    assert not first.assignment() & second.assignment()
    await second.stop()
    for _ in range(100):
        await first.getmany(timeout_ms=100)
        if len(first.assignment()) == 3:
            break
    assert len(first.assignment()) == 3
    await first.stop()
    ok("members share the partitions and take over from who leaves")


async def offsets(topic, admin):
    committed = await admin.list_consumer_group_offsets(name("g"))
    assert committed[TopicPartition(topic, 1)].offset == 500, committed
    listed = await admin.list_consumer_groups()
    assert (name("g"), "consumer") in listed
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP)
    await consumer.start()
    partition = TopicPartition(topic, 1)
    assert (await consumer.end_offsets([partition]))[partition] == 500
    assert (await consumer.offsets_for_times({partition: 0}))[partition].offset == 0
    await consumer.stop()
    ok("offsets of groups, ends and offsets by time")


async def transactions(admin):
    source, target = name("in"), name("out")
    await admin.create_topics([NewTopic(source, 1, 1), NewTopic(target, 1, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=name("x"))
    await producer.start()
    for value, commits in [("a", True), ("b", False), ("c", True)]:
        await producer.begin_transaction()
        await producer.send_and_wait(target, value.encode())
        await producer.send_offsets_to_transaction({TopicPartition(source, 0): ord(value)}, name("xg"))
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    assert await read(target, 2, isolation_level="read_committed") == ["a", "c"]
    assert await read(target, 3) == ["a", "b", "c"]
    found = await admin.list_consumer_group_offsets(name("xg"))
    assert found[TopicPartition(source, 0)].offset == ord("c"), found
    ok("transactions commit and abort records and offsets")
    await producer.begin_transaction()
    await producer.send_and_wait(target, b"open")
    assert await read(target, 3, wait_ms=2_000, isolation_level="read_committed") == ["a", "c"]
    second = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=name("x"))
    await second.start()
    try:
        await producer.commit_transaction()
        raise AssertionError("the first producer was not fenced")
    except ProducerFenced:
        pass
    async with second.transaction():
        await second.send_and_wait(target, b"d")
    await second.stop()
    await producer.stop()
    assert await read(target, 3, isolation_level="read_committed") == ["a", "c", "d"]
    ok("an open transaction hides its records and is aborted by the next producer of its id")
    await admin.delete_topics([source, target])


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    topic = await topics(admin)
    await codecs(topic)
    await idempotence(topic)
    await groups(topic)
    await offsets(topic, admin)
    await transactions(admin)
    await admin.delete_topics([topic])
    await admin.close()
    print(f"aiokafka: {passed} steps")


asyncio.run(main())
