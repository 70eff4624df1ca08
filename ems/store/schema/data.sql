-- The measurements database. Written once by ems.store.build, then only read.
-- Times are naive UTC; a row is labelled by the start of its step; energies are kWh per step.

-- The order is the order of harm: building_hour shows the worst quality of an hour with max().
CREATE TYPE quality AS ENUM ('ok', 'ended', 'gap', 'balance', 'spike', 'stuck');

CREATE TABLE meta (
    key   VARCHAR PRIMARY KEY,
    value VARCHAR NOT NULL
);

-- place: what it is called; country and subdivision: whose public holidays are kept there.
CREATE TABLE building (
    building      VARCHAR PRIMARY KEY,
    kind          VARCHAR NOT NULL,
    place         VARCHAR NOT NULL,
    latitude_deg  DOUBLE NOT NULL,
    longitude_deg DOUBLE NOT NULL,
    country       VARCHAR NOT NULL,
    subdivision   VARCHAR NOT NULL,
    timezone      VARCHAR NOT NULL,
    step_h        DOUBLE NOT NULL,
    first_ts_utc  TIMESTAMP NOT NULL,
    n_steps       INTEGER NOT NULL,
    load_rule     VARCHAR NOT NULL
);

-- behind_import: whether the import meter sees this feed (false: a circuit with a meter of its own).
CREATE TABLE feed (
    building      VARCHAR NOT NULL,
    feed          VARCHAR NOT NULL,
    position      INTEGER NOT NULL,
    role          VARCHAR NOT NULL,
    category      VARCHAR NOT NULL,
    behind_import BOOLEAN NOT NULL,
    PRIMARY KEY (building, feed)
);

-- The raw energy, whatever its quality; NULL where nothing was measured.
CREATE TABLE reading (
    building   VARCHAR NOT NULL,
    feed       VARCHAR NOT NULL,
    ts_utc     TIMESTAMP NOT NULL,
    energy_kwh DOUBLE,
    quality    quality NOT NULL
);

-- What each quality rule found: evidence for the column `quality` above.
CREATE TABLE finding (
    building     VARCHAR NOT NULL,
    feed         VARCHAR NOT NULL,
    rule         VARCHAR NOT NULL,
    quality      quality NOT NULL,
    steps        INTEGER NOT NULL,
    days         INTEGER NOT NULL,
    first_ts_utc TIMESTAMP NOT NULL,
    last_ts_utc  TIMESTAMP NOT NULL
);

CREATE TABLE price (
    zone        VARCHAR NOT NULL,
    ts_utc      TIMESTAMP NOT NULL,
    step_h      DOUBLE NOT NULL,
    eur_per_mwh DOUBLE NOT NULL
);

CREATE TABLE weather (
    site     VARCHAR NOT NULL,
    ts_utc   TIMESTAMP NOT NULL,
    quantity VARCHAR NOT NULL,
    value    DOUBLE
);

-- Forecasts of the weather as they were issued: only those with issued_utc up to an instant were
-- known at that instant.
CREATE TABLE weather_forecast (
    site       VARCHAR NOT NULL,
    issued_utc TIMESTAMP NOT NULL,
    ts_utc     TIMESTAMP NOT NULL,
    quantity   VARCHAR NOT NULL,
    value      DOUBLE NOT NULL
);

-- The usage PMFs the synthetic twin was drawn from; empty for measured data.
CREATE TABLE true_pmf (
    building        VARCHAR NOT NULL,
    feed            VARCHAR NOT NULL,
    day_type        VARCHAR NOT NULL,
    hour            INTEGER NOT NULL,
    probability     DOUBLE NOT NULL,
    use_probability DOUBLE NOT NULL
);

-- What the building used, by the feeds its load rule needs: import, export, PV behind the import
-- meter, loads with a meter of their own. NULL where one of them is not ok.
CREATE VIEW building_step AS
SELECT
    r.building,
    r.ts_utc,
    sum(r.energy_kwh) FILTER (f.role = 'import') AS import_kwh,
    sum(r.energy_kwh) FILTER (f.role = 'export') AS export_kwh,
    sum(r.energy_kwh) FILTER (f.role = 'pv') AS pv_kwh,
    max(r.quality) AS worst_quality,
    CASE WHEN bool_and(r.quality = 'ok') FILTER (f.role <> 'pv' OR f.behind_import)
              AND bool_or(f.role = 'import')
        THEN sum(CASE f.role WHEN 'export' THEN -r.energy_kwh ELSE r.energy_kwh END)
             FILTER (f.role <> 'pv' OR f.behind_import)
    END AS load_kwh
FROM reading AS r
JOIN feed AS f USING (building, feed)
WHERE f.role <> 'load' OR NOT f.behind_import
GROUP BY r.building, r.ts_utc;

CREATE VIEW building_hour AS
SELECT
    building,
    date_trunc('hour', ts_utc) AS hour_utc,
    CASE WHEN count(load_kwh) = count(*) THEN sum(load_kwh) END AS load_kwh,
    sum(import_kwh) AS import_kwh,
    sum(export_kwh) AS export_kwh,
    sum(pv_kwh) AS pv_kwh,
    max(worst_quality) AS worst_quality
FROM building_step
GROUP BY building, date_trunc('hour', ts_utc);
