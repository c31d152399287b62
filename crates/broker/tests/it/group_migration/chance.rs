//! Groups that change their protocol, by chance.

use super::*;
use millstream_types::{Rng, SeededRng};
use std::collections::BTreeSet;

/// Members of both protocols come, go, change their protocol, are slow, lose responses; the broker crashes. No member ever owns
/// what another owns, and in the end everything is owned.
#[test]
fn no_partition_is_owned_twice_while_members_change_their_protocol() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        for step in 0..200 {
            world.step(step);
            world.check(&format!("seed {seed}, step {step}"));
        }
        world.settle();
        world.check(&format!("seed {seed} at the end"));
        let total: usize = world.all().map(|(_, owned)| owned.len()).sum();
        let expected = if world.all().count() == 0 { 0 } else { 5 };
        assert_eq!(
            total, expected,
            "seed {seed}: owned at the end by {:?} and {:?}",
            world.clients, world.guests
        );
    }
}

struct World {
    driver: Driver,
    rng: SeededRng,
    clients: Vec<Client>,
    guests: Vec<Guest>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut driver = Driver::new();
        driver.create("t", 5);
        World {
            driver,
            rng: SeededRng::new(seed),
            clients: Vec::new(),
            guests: Vec::new(),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&str, &Owned)> {
        let clients = self
            .clients
            .iter()
            .map(|client| (client.id.as_str(), &client.owned));
        clients.chain(self.guests.iter().map(|guest| (guest.id.as_str(), &guest.owned)))
    }

    fn check(&self, when: &str) {
        let mut owners = BTreeMap::new();
        for (member, owned) in self.all() {
            for partition in owned {
                let other = owners.insert(*partition, member);
                assert!(other.is_none(), "{when}: {partition:?} of {other:?} and {member}");
            }
        }
    }

    fn step(&mut self, step: usize) {
        let count = self.clients.len() + self.guests.len();
        match self.rng.below(24) {
            0 | 1 if count < 5 => self.clients.push(Client::new(&format!("c{step}"), &["t"])),
            2 | 3 if count < 5 => self.guests.push(Guest::new(self.rng.below(2) == 0)),
            4 => self.driver_crash(),
            5 if count > 0 => self.remove_one(),
            6 => self.driver.advance(200), // far below the timeouts: no member expires unnoticed
            7..=14 if !self.clients.is_empty() => {
                let chosen = self.rng.below(self.clients.len() as u64) as usize;
                self.turn_of_client(chosen);
            }
            _ if !self.guests.is_empty() => {
                let chosen = self.rng.below(self.guests.len() as u64) as usize;
                self.turn_of_guest(chosen);
            }
            _ => {}
        }
    }

    fn driver_crash(&mut self) {
        self.driver.advance(1); // the broker's chance begins with its time
        self.driver.completed.clear(); // ticket numbers restart, too
        self.driver.crash();
        for guest in &mut self.guests {
            // A delayed request gets no response any more.
            if guest.joining.take().is_some() || guest.syncing.take().is_some() {
                guest.must_join = true;
            }
        }
    }

    fn remove_one(&mut self) {
        let chosen = self.rng.below((self.clients.len() + self.guests.len()) as u64) as usize;
        if chosen < self.clients.len() {
            let client = self.clients.remove(chosen);
            self.driver.leave(&client);
            return;
        }
        let guest = self.guests.remove(chosen - self.clients.len());
        self.driver.leave_by_request(&[(guest.id.as_str(), None)]);
    }

    fn turn_of_client(&mut self, chosen: usize) {
        let client = &mut self.clients[chosen];
        match self.rng.below(3) {
            0 => client.reconcile(),
            1 if client.epoch != 0 => {
                let response = self.driver.call(client.keep_alive());
                client.take(response);
            }
            // The group became a classic one while this client did not listen: it begins again.
            _ if self.driver.beat(client) == ErrorCode::GROUP_ID_NOT_FOUND => {
                *client = Client::new(&format!("{}+", client.id), &["t"]);
            }
            _ => {}
        }
    }

    fn turn_of_guest(&mut self, chosen: usize) {
        let mut guest = self.guests[chosen].clone();
        if let Some(ticket) = guest.joining {
            if let Some(response) = self.driver.taken::<JoinGroupRequest>(JOIN, ticket) {
                self.joined(&mut guest, response);
            }
        } else if let Some(ticket) = guest.syncing {
            if let Some(response) = self.driver.taken::<SyncGroupRequest>(SYNC, ticket) {
                self.synced(&mut guest, response);
            }
        } else if guest.must_join {
            if !guest.is_cooperative {
                guest.owned.clear();
            }
            let request = guest.request(&self.driver);
            let ticket = self.ask(JOIN, request);
            guest.joining = Some(ticket);
            self.guests[chosen] = guest;
            return self.completed_join(chosen);
        } else {
            match self.driver.beat_guest(&guest) {
                ErrorCode::NONE => {}
                code => refused(&mut guest, code),
            }
        }
        self.guests[chosen] = guest;
    }

    /// Hands in a request of which it is not known whether it has to wait.
    fn ask(&mut self, version: i16, request: JoinGroupRequest) -> Ticket {
        match self.driver.submit(version, request) {
            millstream_broker::Progress::Pending(ticket) => {
                self.driver.settle();
                ticket
            }
            millstream_broker::Progress::Ready(reply) => {
                let ticket = Ticket(u64::MAX - self.rng.below(1 << 40));
                self.driver.completed.insert(ticket, reply);
                ticket
            }
        }
    }

    /// A response that is there is taken at once, mostly.
    fn completed_join(&mut self, chosen: usize) {
        if self.rng.below(4) > 0 {
            self.turn_of_guest(chosen);
        }
    }

    fn joined(&mut self, guest: &mut Guest, response: JoinGroupResponse) {
        guest.joining = None;
        if response.error_code.is_error() {
            if response.error_code == ErrorCode::MEMBER_ID_REQUIRED {
                guest.id = response.member_id.to_string();
            }
            return refused(guest, response.error_code);
        }
        (guest.id, guest.generation) = (response.member_id.to_string(), response.generation_id);
        let mut request = self.driver.guest_sync(guest);
        if response.leader == response.member_id {
            request.assignments = self.lead(guest, &response.members);
        }
        guest.syncing = Some(match self.driver.submit(SYNC, request) {
            millstream_broker::Progress::Pending(ticket) => ticket,
            millstream_broker::Progress::Ready(reply) => {
                let ticket = Ticket(u64::MAX - self.rng.below(1 << 40));
                self.driver.completed.insert(ticket, reply);
                ticket
            }
        });
        self.driver.settle();
    }

    /// Leads as a cooperative assignor does: a partition moves only after its owner has revoked it.
    fn lead(
        &self,
        leader: &Guest,
        members: &[join_group::JoinGroupResponseMember],
    ) -> Vec<sync_group::SyncGroupRequestAssignment> {
        let topic = self.driver.topic_id("t");
        let owned: Vec<BTreeSet<i32>> = members.iter().map(|member| owned_in(&member.metadata)).collect();
        let share = |index: usize| -> Owned {
            let own = (0..5i32).filter(|partition| *partition as usize % members.len() == index);
            let free = own.filter(|partition| {
                let mut others = owned.iter().enumerate().filter(|(other, _)| *other != index);
                !others.any(|(_, owned)| owned.contains(partition))
            });
            free.map(|partition| (topic, partition)).collect()
        };
        let given = |(index, member): (usize, &join_group::JoinGroupResponseMember)| {
            sync_group::SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: assignment(&self.driver, &share(index), leader.version),
            }
        };
        members.iter().enumerate().map(given).collect()
    }

    fn synced(&mut self, guest: &mut Guest, response: SyncGroupResponse) {
        guest.syncing = None;
        if response.error_code.is_error() {
            return refused(guest, response.error_code);
        }
        let given = if response.assignment.is_empty() {
            Owned::new()
        } else {
            read_assignment(&self.driver, response.assignment).1
        };
        // A cooperative member that has given something up joins again, so that others get it.
        guest.must_join = guest.is_cooperative && !guest.owned.is_subset(&given);
        guest.owned = given;
    }

    /// All members continue until silent members have expired.
    fn settle(&mut self) {
        for _ in 0..40 {
            self.driver.advance(2_000);
            for chosen in 0..self.clients.len() {
                let client = &mut self.clients[chosen];
                if self.driver.beat(client) == ErrorCode::GROUP_ID_NOT_FOUND {
                    *client = Client::new(&format!("{}+", client.id), &["t"]);
                }
                client.reconcile();
            }
            for chosen in 0..self.guests.len() {
                for _ in 0..3 {
                    self.turn_of_guest(chosen);
                }
            }
        }
    }
}

/// What a client does when it is refused.
fn refused(guest: &mut Guest, code: ErrorCode) {
    guest.must_join = true;
    match code {
        ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::MEMBER_ID_REQUIRED => {}
        ErrorCode::ILLEGAL_GENERATION => guest.owned.clear(),
        ErrorCode::UNKNOWN_MEMBER_ID => {
            guest.owned.clear();
            guest.id.clear();
        }
        code => panic!("a classic member gets {code}"),
    }
}

fn owned_in(metadata: &Bytes) -> BTreeSet<i32> {
    let mut reader = Reader::new(metadata.clone());
    let version = reader.i16().unwrap();
    let read = ConsumerProtocolSubscription::decode(&mut reader, version).unwrap();
    read.owned_partitions
        .into_iter()
        .flat_map(|each| each.partitions)
        .collect()
}
