"""The first state."""

STATEMENTS = (
    "CREATE TABLE settings (key {text} PRIMARY KEY, value {text} NOT NULL) {rowless}",
    """CREATE TABLE sessions (
        system {text} NOT NULL, key {text} NOT NULL, value {text} NOT NULL, PRIMARY KEY (system, key)
    ) {rowless}""",
    """CREATE TABLE systems (
        name {text} PRIMARY KEY, connector {text} NOT NULL, fingerprint {text} NOT NULL,
        paused BOOLEAN NOT NULL, clock_offset BIGINT NOT NULL, last_success BIGINT NOT NULL
    ) {rowless}""",
    """CREATE TABLE streams (
        id {id}, system {text} NOT NULL, stream {text} NOT NULL, cursor {text}, read_started BIGINT NOT NULL,
        complete_at BIGINT NOT NULL, live_count BIGINT NOT NULL, reading_since BIGINT NOT NULL,
        high_water {text}, listed_until BIGINT NOT NULL DEFAULT 0, UNIQUE (system, stream)
    )""",
    """CREATE TABLE records (
        id {plain_id}, stream_id BIGINT NOT NULL, native_id {text} NOT NULL, scope {text} NOT NULL,
        part {text} NOT NULL, entity {text} NOT NULL, golden_id {text}, status {text} NOT NULL,
        raw_hash {bytes} NOT NULL, version {text}, mapped_by {text} NOT NULL, read_at BIGINT NOT NULL,
        gone_at BIGINT NOT NULL, deleted_by_us BOOLEAN NOT NULL, unresolved BOOLEAN NOT NULL,
        former {text} NOT NULL, seen {text} NOT NULL, state {text}, UNIQUE (stream_id, native_id, scope, part)
    )""",
    "CREATE INDEX records_golden ON records (golden_id) WHERE golden_id IS NOT NULL",
    "CREATE INDEX records_unresolved ON records (entity, id) WHERE unresolved",
    "CREATE TABLE listing (record_id {plain_id}, stream_id BIGINT NOT NULL)",
    "CREATE TABLE missing (record_id {plain_id}, stream_id BIGINT NOT NULL)",
    """CREATE TABLE marks (
        mark {text} NOT NULL, item {text} NOT NULL, PRIMARY KEY (mark, item)
    ) {rowless}""",
    """CREATE TABLE identity_keys (
        entity {text} NOT NULL, key {text} NOT NULL, record_id BIGINT NOT NULL,
        PRIMARY KEY (entity, key, record_id)
    ) {rowless}""",
    "CREATE INDEX identity_keys_record ON identity_keys (record_id)",
    """CREATE TABLE doubts (
        one BIGINT NOT NULL, other BIGINT NOT NULL, key {text} NOT NULL, since BIGINT NOT NULL,
        PRIMARY KEY (one, other, key)
    ) {rowless}""",
    """CREATE TABLE judgements (
        id {id}, verdict {text} NOT NULL, entity {text} NOT NULL, one {text} NOT NULL, other {text} NOT NULL,
        places {text} NOT NULL, said_by {text} NOT NULL, why {text} NOT NULL, at BIGINT NOT NULL,
        moved {text} NOT NULL, revoked_at BIGINT NOT NULL, revoked_by {text} NOT NULL,
        revoked_why {text} NOT NULL
    )""",
    """CREATE TABLE judged (
        one BIGINT NOT NULL, other BIGINT NOT NULL, judgement BIGINT NOT NULL, verdict {text} NOT NULL,
        at BIGINT NOT NULL, PRIMARY KEY (one, other, judgement)
    ) {rowless}""",
    "CREATE INDEX judged_judgement ON judged (judgement)",
    """CREATE TABLE goldens (
        id {text} NOT NULL PRIMARY KEY, entity {text} NOT NULL, dirty BOOLEAN NOT NULL, merged_into {text},
        updated_at BIGINT NOT NULL, doc {text} NOT NULL, decisions {text} NOT NULL
    )""",
    "CREATE INDEX goldens_entity ON goldens (entity, id)",
    "CREATE INDEX goldens_dirty ON goldens (entity, id) WHERE dirty",
    """CREATE TABLE refs (
        golden_id {text} NOT NULL, target {text} NOT NULL, PRIMARY KEY (golden_id, target)
    ) {rowless}""",
    "CREATE INDEX refs_target ON refs (target)",
    """CREATE TABLE terms (
        term {text} NOT NULL, golden_id {text} NOT NULL, PRIMARY KEY (term, golden_id)
    ) {rowless}""",
    "CREATE INDEX terms_golden ON terms (golden_id, term)",
    """CREATE TABLE journal (
        id {id}, golden_id {text} NOT NULL, event {text} NOT NULL, details {text} NOT NULL, at BIGINT NOT NULL
    )""",
    "CREATE INDEX journal_golden ON journal (golden_id, id)",
    """CREATE TABLE intents (
        id {text} NOT NULL PRIMARY KEY, run BIGINT NOT NULL, system {text} NOT NULL, stream {text} NOT NULL,
        entity {text} NOT NULL, kind {text} NOT NULL, golden_id {text} NOT NULL, payload {text} NOT NULL,
        status {text} NOT NULL, record_id BIGINT, native_id {text}, scope {text} NOT NULL, handle {text},
        reason {text} NOT NULL, attempts BIGINT NOT NULL, not_before BIGINT NOT NULL,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, position BIGINT NOT NULL
    )""",
    "CREATE INDEX intents_run ON intents (run, position)",
    "CREATE INDEX intents_status ON intents (status, run, position)",
    "CREATE INDEX intents_golden ON intents (golden_id)",
    """CREATE TABLE owed (
        golden_id {text} NOT NULL, system {text} NOT NULL, entity {text} NOT NULL, why {text} NOT NULL,
        detail {text} NOT NULL, since BIGINT NOT NULL, PRIMARY KEY (golden_id, system)
    ) {rowless}""",
    "CREATE INDEX owed_system ON owed (system)",
    "CREATE INDEX owed_why ON owed (why, since)",
    """CREATE TABLE dead_letters (
        kind {text} NOT NULL, system {text} NOT NULL, stream {text} NOT NULL, native_id {text} NOT NULL,
        error {text} NOT NULL, raw {text} NOT NULL, entity {text} NOT NULL, golden_id {text},
        scope {text} NOT NULL, id {id}, status {text} NOT NULL, attempts BIGINT NOT NULL,
        first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, run BIGINT NOT NULL
    )""",
    """CREATE UNIQUE INDEX dead_letters_open ON dead_letters (kind, system, stream, scope, native_id)
       WHERE status = 'open'""",
    """CREATE INDEX dead_letters_dropped ON dead_letters (kind, system, stream, scope, native_id)
       WHERE status = 'dropped'""",
    """CREATE TABLE runs (
        id {id}, command {text} NOT NULL, started_at BIGINT NOT NULL, ended_at BIGINT NOT NULL,
        exit_code INTEGER, counts {text} NOT NULL
    )""",
    """CREATE TABLE writes (
        run BIGINT NOT NULL, intent {text} NOT NULL, system {text} NOT NULL, record_id BIGINT NOT NULL,
        golden_id {text} NOT NULL, path {text} NOT NULL, before {text} NOT NULL, after {text} NOT NULL,
        at BIGINT NOT NULL, id {id}
    )""",
    "CREATE INDEX writes_run ON writes (run, record_id, id)",
    """CREATE TABLE conflicts (
        golden_id {text} NOT NULL, entity {text} NOT NULL, path {text} NOT NULL, winner {text} NOT NULL,
        losers {text} NOT NULL, rule {text} NOT NULL, too_close BOOLEAN NOT NULL, undecided BOOLEAN NOT NULL,
        at BIGINT NOT NULL, run BIGINT NOT NULL, id {id}, digest {bytes} NOT NULL UNIQUE
    )""",
    "CREATE INDEX conflicts_golden ON conflicts (golden_id, id)",
    "CREATE INDEX conflicts_run ON conflicts (run, id)",
    """CREATE TABLE notes (
        run BIGINT NOT NULL, kind {text} NOT NULL, system {text} NOT NULL, entity {text} NOT NULL,
        golden_id {text} NOT NULL, path {text} NOT NULL, text {text} NOT NULL, at BIGINT NOT NULL, id {id}
    )""",
    "CREATE INDEX notes_run ON notes (run, id)",
    "CREATE INDEX notes_golden ON notes (golden_id, id)",
)
