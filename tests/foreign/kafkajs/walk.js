// A walk through a broker with kafkajs: topics, compression, groups, offsets and transactions.
// Each step prints a line; the first that is not as it should be ends the walk with status 1.
const { Kafka, CompressionTypes, logLevel, ConfigResourceTypes } = require('kafkajs')
const assert = require('node:assert/strict')

const brokers = [process.argv[2]]
const suffix = Date.now().toString(36)
const name = (what) => `kafkajs-${what}-${suffix}`
const kafka = new Kafka({ clientId: 'walk', brokers, logLevel: logLevel.NOTHING, retry: { retries: 8 } })

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
let passed = 0
async function step(what, run) {
  await run()
  passed += 1
  console.log(`ok ${what}`)
}

// Reads until there are `count` messages, or 20 s are over.
async function read(topic, groupId, count, options = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, rebalanceTimeout: 10000, ...options })
  const values = []
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { values.push(message.value.toString()) } })
  for (let i = 0; i < 200 && values.length < count; i++) await sleep(100)
  await sleep(300)
  await consumer.disconnect()
  return values
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  const topic = name('t')
  await step('create a topic', async () => {
    assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }), true)
    assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }), false)
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    assert.equal(topics[0].partitions.length, 2)
  })
  await step('create partitions', async () => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    assert.equal(topics[0].partitions.length, 3)
  })
  await step('alter and describe configurations', async () => {
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
    await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] })
    const { resources } = await admin.describeConfigs({ resources: [{ ...resource, configNames: ['retention.ms'] }] })
    assert.equal(resources[0].configEntries[0].configValue, '7200000')
  })
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  await step('produce with every acks and with gzip', async () => {
    for (const acks of [-1, 1, 0]) await producer.send({ topic, acks, messages: [{ key: 'k', value: `acks ${acks}` }] })
    await producer.send({ topic, compression: CompressionTypes.GZIP, messages: [{ key: 'k', value: 'gzip', headers: { h: 'v' } }] })
  })
  await step('read as a group, commit, and go on from there', async () => {
    assert.deepEqual(await read(topic, name('g'), 4), ['acks -1', 'acks 1', 'acks 0', 'gzip'])
    await producer.send({ topic, messages: [{ key: 'k', value: 'later' }] })
    assert.deepEqual(await read(topic, name('g'), 1), ['later'])
  })
  await step('two members share the partitions', async () => {
    const shared = name('shared')
    const make = () => kafka.consumer({ groupId: shared, sessionTimeout: 10000, rebalanceTimeout: 10000 })
    const [first, second] = [make(), make()]
    for (const consumer of [first, second]) {
      await consumer.connect()
      await consumer.subscribe({ topics: [topic] })
      await consumer.run({ eachMessage: async () => {} })
    }
    let members = []
    for (let i = 0; i < 100; i++) {
      const { groups } = await admin.describeGroups([shared])
      members = groups[0].members
      if (groups[0].state === 'Stable' && members.length === 2) break
      await sleep(200)
    }
    assert.equal(members.length, 2)
    await first.disconnect()
    await second.disconnect()
  })
  await step('list, reset and delete groups', async () => {
    const { groups } = await admin.listGroups()
    assert.ok(groups.some((group) => group.groupId === name('g')))
    await admin.resetOffsets({ groupId: name('g'), topic, earliest: true })
    assert.equal((await read(topic, name('g'), 5)).length, 5)
    assert.equal((await admin.deleteGroups([name('g')]))[0].errorCode ?? 0, 0)
  })
  await step('offsets of a topic, by time and after deleting records', async () => {
    const ends = await admin.fetchTopicOffsets(topic)
    assert.equal(ends.reduce((sum, each) => sum + Number(each.high), 0), 5)
    const full = ends.find((each) => each.high !== '0')
    const at = await admin.fetchTopicOffsetsByTimestamp(topic, 0)
    assert.equal(at.find((each) => each.partition === full.partition).offset, '0')
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: full.partition, offset: '2' }] })
    const starts = await admin.fetchTopicOffsets(topic)
    assert.equal(starts.find((each) => each.partition === full.partition).low, '2')
  })
  await step('transactions: commit, abort, offsets', async () => {
    const [input, output] = [name('in'), name('out')]
    await admin.createTopics({ topics: [{ topic: input }, { topic: output, numPartitions: 1 }] })
    const transactional = kafka.producer({ transactionalId: name('x'), maxInFlightRequests: 1, idempotent: true })
    await transactional.connect()
    for (const [value, ends] of [['a', 'commit'], ['b', 'abort'], ['c', 'commit']]) {
      const transaction = await transactional.transaction()
      await transaction.send({ topic: output, messages: [{ key: 'k', value }] })
      await transaction.sendOffsets({
        consumerGroupId: name('xg'),
        topics: [{ topic: input, partitions: [{ partition: 0, offset: String(value.charCodeAt(0)) }] }],
      })
      await transaction[ends]()
    }
    await transactional.disconnect()
    assert.deepEqual(await read(output, name('committed'), 2), ['a', 'c'])
    assert.deepEqual(await read(output, name('all'), 3, { readUncommitted: true }), ['a', 'b', 'c'])
    const [committed] = await admin.fetchOffsets({ groupId: name('xg'), topics: [input] })
    assert.equal(committed.partitions.find((each) => each.partition === 0).offset, String('c'.charCodeAt(0)))
  })
  await step('a second producer with the same transactional id fences the first', async () => {
    const make = () => kafka.producer({ transactionalId: name('fence'), maxInFlightRequests: 1, idempotent: true, retry: { retries: 1 } })
    const [first, second] = [make(), make()]
    await first.connect()
    const transaction = await first.transaction()
    await transaction.send({ topic, messages: [{ key: 'k', value: 'fenced' }] })
    await second.connect()
    await (await second.transaction()).commit()
    await assert.rejects(() => transaction.commit())
    await first.disconnect()
    await second.disconnect()
  })
  await step('describe the cluster and delete the topics', async () => {
    const cluster = await admin.describeCluster()
    assert.equal(cluster.brokers.length, 1)
    await admin.deleteTopics({ topics: [topic, name('in'), name('out')] })
    for (let i = 0; i < 50 && (await admin.listTopics()).includes(topic); i++) await sleep(100)
    assert.ok(!(await admin.listTopics()).includes(topic))
  })
  await producer.disconnect()
  await admin.disconnect()
  console.log(`kafkajs: ${passed} steps`)
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1) })
