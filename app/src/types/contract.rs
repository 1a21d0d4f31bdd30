//! What the page about the API shows of the contract at `/openapi.json`. It stays on the server.

/// The contract, as people read it.
#[derive(Clone, Debug)]
pub struct ContractView {
    /// The groups of addresses, each with what it is for.
    pub sections: Vec<ContractSection>,
    /// Every code of an error, with its status.
    pub errors: Vec<ContractError>,
}

/// A group of addresses.
#[derive(Clone, Debug)]
pub struct ContractSection {
    /// Its name, which is also the anchor of the section.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// What can be asked for.
    pub operations: Vec<ContractOperation>,
}

/// One method at one address.
#[derive(Clone, Debug)]
pub struct ContractOperation {
    /// Such as `GET`.
    pub method: String,
    /// Such as `/api/v1/pictures/{id}`.
    pub path: String,
    /// What it does, in a few words.
    pub summary: String,
    /// What else is to be known of it.
    pub about: String,
    /// What may be said with it.
    pub parameters: Vec<ContractParameter>,
    /// The statuses of its answers, each with what it means.
    pub answers: Vec<(String, String)>,
}

/// Something that may be said in an address or in a header.
#[derive(Clone, Debug)]
pub struct ContractParameter {
    /// Its name.
    pub name: String,
    /// Where it stands: `path`, `query` or `header`.
    pub place: String,
    /// What it means.
    pub about: String,
}

/// One code of an error.
#[derive(Clone, Debug)]
pub struct ContractError {
    /// The code, such as `not-a-cat`.
    pub code: String,
    /// The status that comes with it.
    pub status: u16,
    /// What it says to people.
    pub title: String,
}
