-- The results database: made on first use, written in short transactions.

CREATE TABLE meta (
    key   VARCHAR PRIMARY KEY,
    value VARCHAR NOT NULL
);

CREATE TABLE run (
    run_id          VARCHAR PRIMARY KEY,
    pipeline        VARCHAR NOT NULL,
    building        VARCHAR NOT NULL,
    started_utc     TIMESTAMP NOT NULL,
    parameters_json VARCHAR NOT NULL,
    status          VARCHAR NOT NULL,
    mlflow_run_id   VARCHAR,
    synthetic       BOOLEAN NOT NULL
);

CREATE TABLE day_result (
    run_id   VARCHAR NOT NULL,
    building VARCHAR NOT NULL,
    day      DATE NOT NULL,
    mode     VARCHAR NOT NULL,
    kpi      VARCHAR NOT NULL,
    value    DOUBLE
);

-- The steps of the days and what energy cost in them, the same for every mode.
CREATE TABLE horizon_step (
    run_id             VARCHAR NOT NULL,
    building           VARCHAR NOT NULL,
    day                DATE NOT NULL,
    ts_utc             TIMESTAMP NOT NULL,
    local_hour         DOUBLE NOT NULL,
    step_h             DOUBLE NOT NULL,
    import_eur_per_kwh DOUBLE NOT NULL,
    export_eur_per_kwh DOUBLE NOT NULL
);

CREATE TABLE plan_step (
    run_id   VARCHAR NOT NULL,
    building VARCHAR NOT NULL,
    day      DATE NOT NULL,
    mode     VARCHAR NOT NULL,
    agent    VARCHAR NOT NULL,
    quantity VARCHAR NOT NULL,
    ts_utc   TIMESTAMP NOT NULL,
    value    DOUBLE
);

CREATE TABLE pmf_update (
    run_id       VARCHAR NOT NULL,
    building     VARCHAR NOT NULL,
    feed         VARCHAR NOT NULL,
    model        VARCHAR NOT NULL,
    day          DATE NOT NULL,
    day_type     VARCHAR NOT NULL,
    n            INTEGER NOT NULL,
    alpha        DOUBLE NOT NULL,
    js_to_prior  DOUBLE NOT NULL,
    js_step      DOUBLE NOT NULL,
    entropy_bits DOUBLE NOT NULL,
    own_starts   DOUBLE NOT NULL,
    hours        DOUBLE[24] NOT NULL
);

-- A community: what each home pays and gains, under one way of running it.
CREATE TABLE community_home (
    run_id VARCHAR NOT NULL,
    mode   VARCHAR NOT NULL,
    home   VARCHAR NOT NULL,
    kpi    VARCHAR NOT NULL,
    value  DOUBLE
);

-- What the homes of a community share, buy and sell together, step by step.
CREATE TABLE community_step (
    run_id   VARCHAR NOT NULL,
    mode     VARCHAR NOT NULL,
    ts_utc   TIMESTAMP NOT NULL,
    quantity VARCHAR NOT NULL,
    value    DOUBLE
);

-- A market: its auctions; prices in €/MWh, energies in MWh; frequency and voltage may be unknown.
CREATE TABLE market_auction (
    run_id   VARCHAR NOT NULL,
    ts_utc   TIMESTAMP NOT NULL,
    quantity VARCHAR NOT NULL,
    value    DOUBLE
);

-- Every order that was let in or refused, and what came of it.
CREATE TABLE market_order (
    run_id            VARCHAR NOT NULL,
    ts_utc            TIMESTAMP NOT NULL,
    bidder            VARCHAR NOT NULL,
    is_bid            BOOLEAN NOT NULL,
    price_eur_per_mwh DOUBLE,
    quantity_kw       DOUBLE,
    accepted_kw       DOUBLE NOT NULL,
    reason            VARCHAR NOT NULL
);

-- What was said; came_s is empty for a message that was lost. Seconds since the first auction.
CREATE TABLE market_message (
    run_id   VARCHAR NOT NULL,
    step     INTEGER NOT NULL,
    sent_s   DOUBLE NOT NULL,
    came_s   DOUBLE,
    sender   VARCHAR NOT NULL,
    receiver VARCHAR NOT NULL,
    kind     VARCHAR NOT NULL,
    said     JSON NOT NULL
);

-- What each bidder came to.
CREATE TABLE market_bidder (
    run_id VARCHAR NOT NULL,
    bidder VARCHAR NOT NULL,
    kind   VARCHAR NOT NULL,
    kpi    VARCHAR NOT NULL,
    value  DOUBLE
);
