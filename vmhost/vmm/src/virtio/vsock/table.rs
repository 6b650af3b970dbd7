//! All connections, by name and by number.

use std::collections::HashMap;

use super::connection::{Connection, Key};

/// How many connections there can be: a guest can make the host open no more sockets than this.
pub const MAX_CONNECTIONS: usize = 1024;

/// Host ports from here on are given to host clients; below, services listen.
const FIRST_PORT: u32 = 1 << 30;

/// The table.
pub struct Table {
    /// Hashes are keyed by chance, so that a guest can't choose ports that collide.
    by_id: HashMap<u32, Connection>,
    ids: HashMap<Key, u32>,
    next_port: u32,
}

impl Table {
    /// An empty one.
    pub fn new() -> Self {
        Self { by_id: HashMap::new(), ids: HashMap::new(), next_port: FIRST_PORT }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there can be no more.
    pub fn is_full(&self) -> bool {
        self.len() >= MAX_CONNECTIONS
    }

    /// The number of a connection.
    pub fn id(&self, key: Key) -> Option<u32> {
        self.ids.get(&key).copied()
    }

    /// A connection.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Connection> {
        self.by_id.get_mut(&id)
    }

    /// Whether a number is taken.
    pub fn contains(&self, id: u32) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Adds one whose name and number are free.
    pub fn insert(&mut self, id: u32, connection: Connection) {
        self.ids.insert(connection.key, id);
        self.by_id.insert(id, connection);
    }

    /// Takes one out.
    pub fn remove(&mut self, id: u32) -> Option<Connection> {
        let connection = self.by_id.remove(&id)?;
        self.ids.remove(&connection.key);
        Some(connection)
    }

    /// Takes all out, and says how many there were.
    pub fn clear(&mut self) -> usize {
        self.ids.clear();
        self.by_id.drain().count()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Connection)> {
        self.by_id.iter().map(|(id, connection)| (*id, connection))
    }

    /// A host port that no connection to `guest_port` has.
    pub fn free_port(&mut self, guest_port: u32) -> u32 {
        // There are more ports than connections, so this ends.
        loop {
            let host_port = self.next_port;
            // The last number means "any port".
            self.next_port = if host_port >= u32::MAX - 1 { FIRST_PORT } else { host_port + 1 };
            if !self.ids.contains_key(&Key { guest_port, host_port }) {
                return host_port;
            }
        }
    }
}
