// A walk through a broker with sarama: topics, codecs, groups, offsets, ACLs and transactions.
// Each step prints a line; the first that is not as it should be ends the walk with status 1.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var (
	brokers []string
	suffix  = strconv.FormatInt(time.Now().UnixNano(), 36)
	passed  int
)

func name(what string) string { return "sarama-" + what + "-" + suffix }

func ok(what string) {
	passed++
	fmt.Println("ok", what)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(holds bool, format string, args ...any) {
	if !holds {
		panic(fmt.Sprintf(format, args...))
	}
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.ClientID = "walk"
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	return c
}

// until asks again until it holds: metadata may lag behind creation.
func until(what string, holds func() bool) {
	for i := 0; i < 100; i++ {
		if holds() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	panic("not in time: " + what)
}

// read gives the values of a partition from its start up to `count`, and what comes shortly after.
func read(topic string, isolation sarama.IsolationLevel, count int, wait time.Duration) []string {
	c := config()
	c.Consumer.IsolationLevel = isolation
	consumer, err := sarama.NewConsumer(brokers, c)
	check(err)
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	check(err)
	defer partition.Close()
	var values []string
	end := time.After(wait)
	for len(values) < count {
		select {
		case message := <-partition.Messages():
			values = append(values, string(message.Value))
		case <-end:
			return values
		}
	}
	select {
	case message := <-partition.Messages():
		values = append(values, string(message.Value))
	case <-time.After(500 * time.Millisecond):
	}
	return values
}

func topics(admin sarama.ClusterAdmin) string {
	topic := name("t")
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}
	check(admin.CreateTopic(topic, detail, false))
	expect(admin.CreateTopic(topic, detail, false) != nil, "a topic was created twice")
	listed, err := admin.ListTopics()
	check(err)
	_, found := listed[topic]
	expect(found, "%s is not listed", topic)
	value := "7200000"
	entries := map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
	}
	check(admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false))
	described, err := admin.DescribeConfig(sarama.ConfigResource{
		Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"},
	})
	check(err)
	expect(described[0].Value == value, "retention.ms is %s", described[0].Value)
	ok("create, list and configure topics")
	return topic
}

func codecs(topic string) {
	var sent []string
	for _, codec := range []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	} {
		c := config()
		c.Producer.Compression = codec
		producer, err := sarama.NewSyncProducer(brokers, c)
		check(err)
		_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(codec.String())})
		check(err)
		check(producer.Close())
		sent = append(sent, codec.String())
	}
	got := read(topic, sarama.ReadUncommitted, len(sent), 20*time.Second)
	expect(slices.Equal(got, sent), "read %v, not %v", got, sent)
	ok("produce and read with every codec")
}

func idempotence(topic string) {
	c := config()
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer(brokers, c)
	check(err)
	var batch []*sarama.ProducerMessage
	for i := 0; i < 500; i++ {
		batch = append(batch, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(strconv.Itoa(i))})
	}
	check(producer.SendMessages(batch))
	check(producer.Close())
	got := read(topic, sarama.ReadUncommitted, 505, 20*time.Second)
	expect(len(got) == 505 && got[504] == "499", "read %d", len(got))
	ok("an idempotent producer")
}

type member struct {
	sync.Mutex
	values []string
	want   int
	done   context.CancelFunc
}

func (m *member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			m.Lock()
			m.values = append(m.values, string(message.Value))
			if len(m.values) >= m.want {
				session.Commit()
				m.done()
			}
			m.Unlock()
		case <-session.Context().Done():
			return nil
		}
	}
}

func consume(group, topic string, want int) []string {
	consumer, err := sarama.NewConsumerGroup(brokers, group, config())
	check(err)
	defer consumer.Close()
	until, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	m := &member{want: want, done: cancel}
	for until.Err() == nil {
		check(consumer.Consume(until, []string{topic}, m))
	}
	return m.values
}

func groups(admin sarama.ClusterAdmin, topic string) {
	group := name("g")
	got := consume(group, topic, 505)
	expect(len(got) == 505, "the group read %d", len(got))
	producer, err := sarama.NewSyncProducer(brokers, config())
	check(err)
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("later")})
	check(err)
	check(producer.Close())
	got = consume(group, topic, 1)
	expect(slices.Equal(got, []string{"later"}), "the group went on with %v", got)
	ok("a group reads, commits and goes on from there")
	offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	check(err)
	expect(offsets.GetBlock(topic, 0).Offset == 506, "the group is at %d", offsets.GetBlock(topic, 0).Offset)
	listed, err := admin.ListConsumerGroups()
	check(err)
	expect(listed[group] == "consumer", "groups: %v", listed)
	described, err := admin.DescribeConsumerGroups([]string{group})
	check(err)
	expect(described[0].State == "Empty", "the group is %s", described[0].State)
	check(admin.DeleteConsumerGroup(group))
	ok("list, describe and delete groups")
}

func transactions(admin sarama.ClusterAdmin) {
	source, target := name("in"), name("out")
	for _, topic := range []string{source, target} {
		check(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	}
	make := func() sarama.SyncProducer {
		c := config()
		c.Producer.Idempotent = true
		c.Producer.Transaction.ID = name("x")
		c.Net.MaxOpenRequests = 1
		producer, err := sarama.NewSyncProducer(brokers, c)
		check(err)
		return producer
	}
	producer := make()
	for _, each := range []struct {
		value   string
		commits bool
	}{{"a", true}, {"b", false}, {"c", true}} {
		check(producer.BeginTxn())
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: target, Value: sarama.StringEncoder(each.value)})
		check(err)
		offset := &sarama.PartitionOffsetMetadata{Partition: 0, Offset: int64(each.value[0])}
		check(producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{source: {offset}}, name("xg")))
		if each.commits {
			check(producer.CommitTxn())
		} else {
			check(producer.AbortTxn())
		}
	}
	got := read(target, sarama.ReadCommitted, 2, 20*time.Second)
	expect(slices.Equal(got, []string{"a", "c"}), "committed: %v", got)
	got = read(target, sarama.ReadUncommitted, 3, 20*time.Second)
	expect(slices.Equal(got, []string{"a", "b", "c"}), "all: %v", got)
	offsets, err := admin.ListConsumerGroupOffsets(name("xg"), map[string][]int32{source: {0}})
	check(err)
	expect(offsets.GetBlock(source, 0).Offset == int64('c'), "the group is at %d", offsets.GetBlock(source, 0).Offset)
	ok("transactions commit and abort records and offsets")
	check(producer.BeginTxn())
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: target, Value: sarama.StringEncoder("open")})
	check(err)
	got = read(target, sarama.ReadCommitted, 3, 2*time.Second)
	expect(slices.Equal(got, []string{"a", "c"}), "behind an open transaction: %v", got)
	second := make()
	check(second.BeginTxn())
	_, _, err = second.SendMessage(&sarama.ProducerMessage{Topic: target, Value: sarama.StringEncoder("d")})
	check(err)
	check(second.CommitTxn())
	expect(producer.CommitTxn() != nil, "the first producer was not fenced")
	check(second.Close())
	_ = producer.Close()
	got = read(target, sarama.ReadCommitted, 3, 20*time.Second)
	expect(slices.Equal(got, []string{"a", "c", "d"}), "committed: %v", got)
	ok("an open transaction hides its records and is aborted by the next producer of its id")
	for _, topic := range []string{source, target} {
		check(admin.DeleteTopic(topic))
	}
}

func acls(admin sarama.ClusterAdmin) {
	resource := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: name("acl"), ResourcePatternType: sarama.AclPatternLiteral}
	acl := sarama.Acl{Principal: "User:walker", Host: "*", Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow}
	check(admin.CreateACL(resource, acl))
	principal := "User:walker"
	filter := sarama.AclFilter{
		ResourceType: sarama.AclResourceTopic, ResourceName: &resource.ResourceName,
		ResourcePatternTypeFilter: sarama.AclPatternLiteral, Principal: &principal,
		Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionAny,
	}
	until("an ACL is listed", func() bool {
		listed, err := admin.ListAcls(filter)
		check(err)
		return len(listed) == 1 && len(listed[0].Acls) == 1
	})
	removed, err := admin.DeleteACL(filter, false)
	check(err)
	expect(len(removed) == 1, "removed %v", removed)
	ok("create, list and delete ACLs")
}

func main() {
	brokers = []string{os.Args[1]}
	admin, err := sarama.NewClusterAdmin(brokers, config())
	check(err)
	topic := topics(admin)
	codecs(topic)
	idempotence(topic)
	groups(admin, topic)
	transactions(admin)
	acls(admin)
	check(admin.DeleteRecords(topic, map[int32]int64{0: 100}))
	dirs, err := admin.DescribeLogDirs([]int32{1})
	check(err)
	expect(len(dirs[1]) == 1, "log directories: %v", dirs)
	check(admin.DeleteTopic(topic))
	check(admin.Close())
	ok("delete records and topics, describe log directories")
	fmt.Printf("sarama: %d steps\n", passed)
}
