//! What clients did and saw, and what is wrong with it.
//!
//! Every record has a number, which is its value. Writers note what they write, what was acknowledged, and how their
//! transactions ended; readers note what they find. The kinds of violations have the names that the literature gives
//! them: lost-write, inconsistent-offsets, duplicate, aborted-read (G1a), intermediate-read (G1b, a transaction seen in
//! part), circular-read (G1c), reordered (G0, a writer's records out of order), nonmonotonic-poll, and the broker's own
//! (stable-offset, owned-twice, lost-commit, stuck). Writes of different transactions between each other in a partition
//! are no anomaly: Kafka isolates reads, not writes.

use std::collections::{BTreeMap, BTreeSet};

pub const PARTITIONS: usize = 3;
pub type RecordId = u64;
pub type TransactionId = usize;

/// How a transaction stands for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No commit was requested.
    Open,
    /// A commit was asked for; the response is not known.
    Asked,
    /// It was abandoned or aborted without a request to commit.
    Aborted,
    Committed,
}

/// What holds for the order of a writer's records in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nothing: it does not wait for responses and late ones are not sorted.
    Any,
    /// They do not change places; some may be missing.
    Sorted,
    /// None is missing before one that is there.
    Gapless,
}

#[derive(Debug)]
struct Written {
    writer: usize,
    partition: usize,
    transaction: Option<TransactionId>,
    /// Its place among the writer's records in the partition.
    order: usize,
    acknowledged: Option<i64>,
    found: Option<i64>,
}

#[derive(Debug)]
struct Transaction {
    writer: usize,
    records: Vec<RecordId>,
    fate: Fate,
    /// A read-committed reader has seen it.
    is_seen: bool,
    /// The offset that it commits for its writer's group, if it does.
    offset: Option<i64>,
    /// That commit's group and number.
    commit: Option<(String, usize)>,
    /// Transactions that it read from.
    reads: BTreeSet<TransactionId>,
}

/// A commit of an offset by a member of a group.
#[derive(Debug, Clone, Copy)]
struct Commit {
    asked_ms: i64,
    /// When it was acknowledged.
    done_ms: Option<i64>,
    offset: i64,
}

/// A member was assigned a partition at one time, and relies on it until another.
#[derive(Debug, Clone, Copy)]
struct Lease {
    told_ms: i64,
    until_ms: i64,
}

impl Lease {
    /// Whether both cannot be true, whichever of them the broker gave first: the earlier one had not run out.
    fn contradicts(self, other: Lease) -> bool {
        self.until_ms > other.told_ms && other.until_ms > self.told_ms
    }
}

#[derive(Debug, Default)]
pub struct History {
    violation: Option<String>,
    writers: Vec<Order>,
    written: Vec<Written>,
    transactions: Vec<Transaction>,
    seen: [BTreeMap<i64, RecordId>; PARTITIONS],
    orders: BTreeMap<(usize, usize), usize>,
    /// Who has a partition, by group and generation, and when that was first heard.
    owners: BTreeMap<(String, i32, i32), (String, i64)>,
    /// When members were last assigned a partition of a group whose generations restart: requested, and received.
    given: BTreeMap<(String, i32), BTreeMap<String, (i64, i64)>>,
    commits: BTreeMap<(String, i32), Vec<Commit>>,
    /// Who counts on a partition, by group and partition.
    leases: BTreeMap<(String, i32), BTreeMap<String, Lease>>,
}

impl History {
    /// Notes that something is wrong; the first counts.
    pub fn violation(&mut self, kind: &str, text: String) {
        self.violation.get_or_insert_with(|| format!("{kind}: {text}"));
    }

    pub fn violated(&self) -> Option<String> {
        self.violation.clone()
    }

    pub fn records(&self) -> usize {
        self.written.len()
    }

    pub fn transactions(&self) -> usize {
        self.transactions.len()
    }

    // ---- writers

    /// A new writer; gives its number.
    pub fn writer(&mut self, order: Order) -> usize {
        self.writers.push(order);
        self.writers.len() - 1
    }

    /// A writer makes a record; gives its number.
    pub fn write(&mut self, writer: usize, partition: usize, transaction: Option<TransactionId>) -> RecordId {
        let order = self.orders.entry((writer, partition)).or_default();
        *order += 1;
        let id = self.written.len() as RecordId;
        self.written.push(Written {
            writer,
            partition,
            transaction,
            order: *order,
            acknowledged: None,
            found: None,
        });
        if let Some(transaction) = transaction {
            self.transactions[transaction].records.push(id);
        }
        id
    }

    /// The broker says where a record is.
    pub fn acknowledge(&mut self, id: RecordId, offset: i64) {
        let record = &mut self.written[id as usize];
        let before = record.acknowledged.replace(offset);
        let found = record.found;
        if before.or(found).is_some_and(|other| other != offset) {
            self.violation(
                "inconsistent-offsets",
                format!(
                    "record {id} is acknowledged at {offset}, before it was at {before:?}, found at {found:?}"
                ),
            );
        }
        let partition = self.written[id as usize].partition;
        if let Some(other) = self.seen[partition].get(&offset).filter(|other| **other != id) {
            let text = format!("record {id} is acknowledged at {offset} of {partition}, where {other} is");
            self.violation("lost-write", text);
        }
    }

    pub fn begin(&mut self, writer: usize, reads: BTreeSet<TransactionId>) -> TransactionId {
        self.transactions.push(Transaction {
            writer,
            records: Vec::new(),
            fate: Fate::Open,
            is_seen: false,
            offset: None,
            commit: None,
            reads,
        });
        self.transactions.len() - 1
    }

    /// A transaction wants to commit this offset with it.
    pub fn add_offset(&mut self, transaction: TransactionId, offset: i64) {
        self.transactions[transaction].offset = Some(offset);
    }

    /// A commit is asked for, and with it one of the transaction's offset, if it has one.
    pub fn ask_commit(&mut self, now_ms: i64, transaction: TransactionId, group: &str) {
        let each = &mut self.transactions[transaction];
        each.fate = Fate::Asked;
        if let Some(offset) = each.offset {
            let number = self.commit_asked(now_ms, group, 0, offset);
            self.transactions[transaction].commit = Some((group.to_owned(), number));
        }
    }

    pub fn committed(&mut self, now_ms: i64, transaction: TransactionId) {
        let each = &mut self.transactions[transaction];
        each.fate = Fate::Committed;
        if let Some((group, number)) = each.commit.take() {
            self.commit_done(now_ms, (&group, 0), ("", 0), number);
        }
    }

    /// The broker says that it aborted the transaction before the commit came. It must be neither seen nor to be seen.
    pub fn commit_came_late(&mut self, transaction: TransactionId) {
        let each = &mut self.transactions[transaction];
        each.fate = Fate::Open;
        if let Some((group, number)) = each.commit.take() {
            self.commit_refused(&group, 0, number);
        }
        self.given_up(transaction);
    }

    /// Aborted, fenced or forgotten: if no commit was requested it must never be seen.
    pub fn given_up(&mut self, transaction: TransactionId) {
        let each = &mut self.transactions[transaction];
        if each.fate == Fate::Open {
            each.fate = Fate::Aborted;
            if each.is_seen {
                self.violation(
                    "aborted-read",
                    format!("transaction {transaction} was seen and is aborted"),
                );
            }
        }
    }

    pub fn transaction_of(&self, id: RecordId) -> Option<TransactionId> {
        self.written.get(id as usize)?.transaction
    }

    // ---- readers

    /// A reader finds a record; `is_committed` if it is shown to applications that read committed data.
    pub fn saw(&mut self, partition: usize, offset: i64, id: RecordId, is_committed: bool) {
        let Some(record) = self.written.get_mut(id as usize) else {
            return self.violation("phantom", format!("record {id} was never written"));
        };
        let (found, acknowledged) = (*record.found.get_or_insert(offset), record.acknowledged);
        let (home, transaction) = (record.partition, record.transaction);
        if home != partition {
            return self.violation(
                "phantom",
                format!("record {id} of partition {home} is in {partition}"),
            );
        }
        if found != offset {
            return self.violation(
                "duplicate",
                format!("record {id} of {partition} is at {found} and {offset}"),
            );
        }
        if acknowledged.is_some_and(|acknowledged| acknowledged != offset) {
            let text = format!("record {id} of {partition} is at {offset}, acknowledged at {acknowledged:?}");
            return self.violation("inconsistent-offsets", text);
        }
        if let Some(before) = self.seen[partition]
            .insert(offset, id)
            .filter(|before| *before != id)
        {
            let text = format!("offset {offset} of {partition} held record {before} and now holds {id}");
            return self.violation("inconsistent-offsets", text);
        }
        if let Some(transaction) = transaction.filter(|_| is_committed) {
            let each = &mut self.transactions[transaction];
            each.is_seen = true;
            if matches!(each.fate, Fate::Aborted | Fate::Open) {
                let text = format!(
                    "record {id} of transaction {transaction}, which is {:?}, is read",
                    each.fate
                );
                self.violation("aborted-read", text);
            }
        }
    }

    // ---- groups

    /// A member was given partitions. In one generation (or member epoch) a partition has one owner.
    pub fn assigned(&mut self, now_ms: i64, group: &str, epoch: i32, member: &str, partitions: &[i32]) {
        for partition in partitions {
            let key = (group.to_owned(), epoch, *partition);
            let (owner, _) = self
                .owners
                .entry(key)
                .or_insert_with(|| (member.to_owned(), now_ms));
            if owner != member {
                let text = format!("partition {partition} of '{group}' in {epoch}: '{owner}' and '{member}'");
                self.violation("owned-twice", text);
            }
        }
    }

    /// The same in a group whose generations say nothing over time, because they restart with every change of its kind.
    pub fn given(&mut self, between: (i64, i64), group: &str, member: &str, partitions: &[i32]) {
        for partition in partitions {
            let of_partition = self.given.entry((group.to_owned(), *partition)).or_default();
            of_partition.insert(member.to_owned(), between);
        }
    }

    /// A member counts on these partitions until then, and on no others any more. No other member may get one meanwhile.
    pub fn holds(&mut self, told_ms: i64, group: &str, member: &str, partitions: &[i32], until_ms: i64) {
        self.releases(group, member);
        let lease = Lease { told_ms, until_ms };
        for partition in partitions {
            let holders = self.leases.entry((group.to_owned(), *partition)).or_default();
            if let Some((other, of_other)) = holders.iter().find(|(_, other)| lease.contradicts(**other)) {
                let text = format!(
                    "partition {partition} of '{group}': '{member}' has {lease:?}, '{other}' {of_other:?}"
                );
                return self.violation("owned-twice", text);
            }
            holders.insert(member.to_owned(), lease);
        }
    }

    /// A member works on nothing of its group any more.
    pub fn releases(&mut self, group: &str, member: &str) {
        for (_, holders) in self.leases.iter_mut().filter(|((of, _), _)| of == group) {
            holders.remove(member);
        }
    }

    /// A member asks for a commit; gives its number for [`History::commit_done`].
    pub fn commit_asked(&mut self, now_ms: i64, group: &str, partition: i32, offset: i64) -> usize {
        let commits = self.commits.entry((group.to_owned(), partition)).or_default();
        commits.push(Commit {
            asked_ms: now_ms,
            done_ms: None,
            offset,
        });
        commits.len() - 1
    }

    /// The commit was accepted: then no other member may have had the partition in a later generation when it was asked for.
    pub fn commit_done(
        &mut self,
        now_ms: i64,
        (group, partition): (&str, i32),
        (member, epoch): (&str, i32),
        number: usize,
    ) {
        let key = (group.to_owned(), partition);
        let Some(commit) = self
            .commits
            .get_mut(&key)
            .and_then(|commits| commits.get_mut(number))
        else {
            return;
        };
        commit.done_ms = Some(now_ms);
        let asked_ms = commit.asked_ms;
        let later = self
            .owners
            .iter()
            .find(|((of, later, each), (owner, at_ms))| {
                of == group && *each == partition && *later > epoch && owner != member && *at_ms < asked_ms
            })
            .map(|((_, later, _), _)| *later);
        if let Some(later) = later {
            let text = format!("'{group}' took a commit for {partition} in {epoch}, after {later} had begun");
            self.violation("zombie-commit", text);
        }
        // Another member has asked for the partition after this one had heard that it is its own, and got it.
        let given = self.given.get(&key);
        let own_ms = given
            .and_then(|given| given.get(member))
            .map(|(_, told_ms)| *told_ms);
        let is_later = |(other, (from_ms, told_ms)): &(&String, &(i64, i64))| {
            *other != member && own_ms.is_some_and(|own_ms| *from_ms > own_ms) && *told_ms < asked_ms
        };
        if let Some((other, between)) = given.into_iter().flatten().find(is_later) {
            let text = format!(
                "'{group}' took a commit of '{member}' for {partition}, which '{other}' got in {between:?}"
            );
            self.violation("zombie-commit", text);
        }
    }

    /// A commit that was refused has never been.
    pub fn commit_refused(&mut self, group: &str, partition: i32, number: usize) {
        let commits = self.commits.get_mut(&(group.to_owned(), partition));
        if let Some(commit) = commits.and_then(|commits| commits.get_mut(number)) {
            (commit.asked_ms, commit.done_ms) = (i64::MAX, None);
        }
    }

    /// An offset was read, asked for at one time: it is that of a commit that no acknowledged one has replaced.
    pub fn offset_read(&mut self, asked_ms: i64, group: &str, partition: i32, offset: i64) {
        let commits = self
            .commits
            .get(&(group.to_owned(), partition))
            .cloned()
            .unwrap_or_default();
        let done_before = |commit: &&Commit| commit.done_ms.is_some_and(|done| done < asked_ms);
        let newest = commits
            .iter()
            .filter(done_before)
            .map(|commit| commit.asked_ms)
            .max();
        let is_none = offset < 0 && newest.is_none();
        let fits = |commit: &Commit| {
            let is_replaced = newest.is_some_and(|newest| commit.done_ms.is_some_and(|done| done < newest));
            commit.offset == offset && commit.asked_ms != i64::MAX && !is_replaced
        };
        if !is_none && !commits.iter().any(fits) {
            let text = format!("'{group}' has {offset} for partition {partition}; commits: {commits:?}");
            self.violation("lost-commit", text);
        }
    }

    // ---- the end

    /// Everything is over: `all` and `committed` are what readers of both kinds find from beginning to end.
    pub fn finish(&mut self, all: &[Vec<(i64, RecordId)>], committed: &[Vec<(i64, RecordId)>]) {
        let present: BTreeSet<RecordId> = all.iter().flatten().map(|(_, id)| *id).collect();
        let visible: BTreeSet<RecordId> = committed.iter().flatten().map(|(_, id)| *id).collect();
        for (id, record) in (0..).zip(&self.written) {
            if record.acknowledged.is_some() && !present.contains(&id) {
                let text = format!(
                    "record {id} was acknowledged at {:?} and is gone",
                    record.acknowledged
                );
                return self.violation("lost-write", text);
            }
            if record.transaction.is_none() && present.contains(&id) != visible.contains(&id) {
                return self.violation(
                    "lost-write",
                    format!("record {id} is hidden from read-committed readers"),
                );
            }
        }
        for partition in all {
            self.check_order(partition.iter().map(|(_, id)| *id));
        }
        for transaction in 0..self.transactions.len() {
            self.check_transaction(transaction, &visible);
        }
        self.check_circles(&visible);
    }

    /// A writer's records stand in the order in which it wrote them, and without holes if it repeats what is lost.
    fn check_order(&mut self, ids: impl Iterator<Item = RecordId>) {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for id in ids {
            let record = &self.written[id as usize];
            let (writer, order) = (record.writer, record.order);
            let before = last.insert(writer, order).unwrap_or(0);
            let fits = match self.writers[writer] {
                Order::Any => true,
                Order::Sorted => order > before,
                Order::Gapless => order == before + 1,
            };
            if !fits {
                let text = format!("record {id} is number {order} of writer {writer} and follows {before}");
                return self.violation("reordered", text);
            }
        }
    }

    fn check_transaction(&mut self, number: TransactionId, visible: &BTreeSet<RecordId>) {
        let transaction = &self.transactions[number];
        let seen = transaction
            .records
            .iter()
            .filter(|id| visible.contains(id))
            .count();
        let (records, fate) = (transaction.records.len(), transaction.fate);
        let what = format!("transaction {number} ({fate:?}) of {records} records shows {seen}");
        match fate {
            Fate::Committed if seen < records => self.violation("lost-write", what),
            Fate::Aborted | Fate::Open if seen > 0 => self.violation("aborted-read", what),
            Fate::Asked if seen > 0 && seen < records => self.violation("intermediate-read", what),
            Fate::Asked if seen == 0 && transaction.is_seen => self.violation("lost-write", what),
            _ => {}
        }
    }

    /// Whether transactions read from each other in a circle.
    fn check_circles(&mut self, visible: &BTreeSet<RecordId>) {
        let is_there = |transaction: &Transaction| transaction.records.iter().any(|id| visible.contains(id));
        let mut left: BTreeMap<TransactionId, BTreeSet<TransactionId>> = (0..)
            .zip(&self.transactions)
            .filter(|(_, transaction)| is_there(transaction))
            .map(|(number, transaction)| (number, transaction.reads.clone()))
            .collect();
        loop {
            let known: BTreeSet<TransactionId> = left.keys().copied().collect();
            let before = left.len();
            left.retain(|number, reads| reads.iter().any(|read| read != number && known.contains(read)));
            if left.is_empty() {
                return;
            }
            if left.len() == before {
                return self.violation(
                    "circular-read",
                    format!("transactions {known:?} read from each other"),
                );
            }
        }
    }

    /// The offset that the group of a transactional writer must have, by which of its transactions are visible.
    pub fn transactional_offset(&self, writer: usize, committed: &[Vec<(i64, RecordId)>]) -> i64 {
        let visible: BTreeSet<RecordId> = committed.iter().flatten().map(|(_, id)| *id).collect();
        let own = self.transactions.iter().filter(|each| each.writer == writer);
        let there = own.filter(|each| each.records.iter().any(|id| visible.contains(id)));
        there.filter_map(|each| each.offset).max().unwrap_or(-1)
    }

    /// What a reader of committed data must have shown of a partition below an offset.
    pub fn expected_below(&self, committed: &[(i64, RecordId)], end: i64) -> Vec<(i64, RecordId)> {
        committed
            .iter()
            .copied()
            .filter(|(offset, _)| *offset < end)
            .collect()
    }
}
