BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE breakers (
	exchange VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	failures INTEGER NOT NULL, 
	opened_at BIGINT, 
	until BIGINT, 
	reason VARCHAR NOT NULL, 
	PRIMARY KEY (exchange)
);
CREATE TABLE commits (
	id INTEGER NOT NULL, 
	layer VARCHAR NOT NULL, 
	exchange VARCHAR NOT NULL, 
	timeframe VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	feature_set VARCHAR NOT NULL, 
	period VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	rows INTEGER NOT NULL, 
	first_open BIGINT, 
	last_open BIGINT, 
	content_hash VARCHAR NOT NULL, 
	file_sha256 VARCHAR, 
	path VARCHAR, 
	replaced VARCHAR, 
	months VARCHAR NOT NULL, 
	schema_version INTEGER NOT NULL, 
	source VARCHAR NOT NULL, 
	fetched_at BIGINT, 
	fetched_first BIGINT, 
	fetched_last BIGINT, 
	run_id VARCHAR NOT NULL, 
	code_version VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	added INTEGER NOT NULL, 
	changed INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	committed_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT commits_version UNIQUE (layer, exchange, timeframe, pair, feature_set, period, version)
);
INSERT INTO "commits" VALUES(1,'ohlcv','binance','1h','BTC-USDT','','2024-01',1,1,1704067200000,1704067200000,'e3acf6f19e51c01b74495ef1a6b7f29e4894ed1ece83b71024316c5d578b4626','fdf928e6132ab099972587d26182e944bca2086f2c8169822222d753979c0335','ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet',NULL,'[]',1,'',NULL,1704067200000,1704067200000,'','','new',1,0,0,1795867376830);
INSERT INTO "commits" VALUES(2,'ohlcv','binance','1h','BTC-USDT','','2024-01',2,3,1704067200000,1704078000000,'f5c47170ff1eb9c0135fbf03b0ce248c7b986406ef7cbbb4201a87a553d0321a','54fcc0ebf17d806a683531954b318dcde3f92354b70d3c5667bfac970c39bd6a','ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet',NULL,'[]',1,'',NULL,1704070800000,1704078000000,'','','extend',2,0,0,1795867376841);
CREATE TABLE files (
	path VARCHAR NOT NULL, 
	layer VARCHAR NOT NULL, 
	exchange VARCHAR NOT NULL, 
	timeframe VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	feature_set VARCHAR NOT NULL, 
	period VARCHAR NOT NULL, 
	size BIGINT NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	stamp VARCHAR NOT NULL, 
	PRIMARY KEY (path)
);
INSERT INTO "files" VALUES('ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet','ohlcv','binance','1h','BTC-USDT','','2024-01',2472,'54fcc0ebf17d806a683531954b318dcde3f92354b70d3c5667bfac970c39bd6a','1795867376835517504-2736562');
CREATE TABLE gaps (
	id INTEGER NOT NULL, 
	exchange VARCHAR NOT NULL, 
	timeframe VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	start BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	missing INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	confirmed BOOLEAN NOT NULL, 
	evidence VARCHAR NOT NULL, 
	tries INTEGER NOT NULL, 
	next_try BIGINT, 
	PRIMARY KEY (id), 
	CONSTRAINT gaps_start UNIQUE (exchange, timeframe, pair, start)
);
INSERT INTO "gaps" VALUES(1,'binance','1h','BTC-USDT',1704074400000,1704078000000,1,'outage',1,'empty page',0,NULL);
CREATE TABLE inputs (
	commit_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	layer VARCHAR NOT NULL, 
	exchange VARCHAR NOT NULL, 
	timeframe VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	first_open BIGINT, 
	last_open BIGINT, 
	content_hash VARCHAR NOT NULL, 
	CONSTRAINT inputs_key PRIMARY KEY (commit_id, position)
);
CREATE TABLE ledger_months (
	exchange VARCHAR NOT NULL, 
	timeframe VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	period VARCHAR NOT NULL, 
	changes INTEGER NOT NULL, 
	quiet_changes INTEGER NOT NULL, 
	CONSTRAINT ledger_months_key PRIMARY KEY (exchange, timeframe, pair, period)
);
INSERT INTO "ledger_months" VALUES('binance','1h','BTC-USDT','2024-01',1,0);
CREATE TABLE partitions (
	layer VARCHAR NOT NULL, 
	exchange VARCHAR NOT NULL, 
	timeframe VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	feature_set VARCHAR NOT NULL, 
	period VARCHAR NOT NULL, 
	commit_id INTEGER NOT NULL, 
	rewrite_id INTEGER NOT NULL, 
	CONSTRAINT partitions_key PRIMARY KEY (layer, exchange, timeframe, pair, feature_set, period)
);
INSERT INTO "partitions" VALUES('ohlcv','binance','1h','BTC-USDT','','2024-01',2,0);
CREATE TABLE quality (
	layer VARCHAR NOT NULL, 
	exchange VARCHAR NOT NULL, 
	timeframe VARCHAR NOT NULL, 
	pair VARCHAR NOT NULL, 
	feature_set VARCHAR NOT NULL, 
	period VARCHAR NOT NULL, 
	rule VARCHAR NOT NULL, 
	day VARCHAR NOT NULL, 
	severity VARCHAR NOT NULL, 
	count INTEGER NOT NULL, 
	rows_json VARCHAR NOT NULL, 
	threshold_json VARCHAR NOT NULL, 
	checked_at BIGINT NOT NULL, 
	CONSTRAINT quality_key PRIMARY KEY (layer, exchange, timeframe, pair, feature_set, period, rule, day)
);
INSERT INTO "quality" VALUES('ohlcv','binance','1h','BTC-USDT','','2024-01','times_on_grid','2024-01-01','error',3,'[{"open_time": "2024-01-01 00:30:00"}]','{}',1704067200000);
INSERT INTO "quality" VALUES('ohlcv','binance','1h','BTC-USDT','','2024-01','times_unique','2024-01-01','error',0,'[]','{}',1704067200000);
CREATE TABLE runs (
	run_id VARCHAR NOT NULL, 
	exchange VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	started_at BIGINT NOT NULL, 
	ended_at BIGINT NOT NULL, 
	steps INTEGER NOT NULL, 
	written INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	requests INTEGER NOT NULL, 
	retries INTEGER NOT NULL, 
	candles INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	errors_json VARCHAR NOT NULL, 
	lag_ms BIGINT, 
	CONSTRAINT runs_key PRIMARY KEY (run_id, exchange)
);
INSERT INTO "runs" VALUES('run-1','binance','tick',1704067200000,1704067205000,1,0,0,2,0,3,0,'{}',NULL);
CREATE INDEX files_partition ON files (layer, exchange, timeframe, pair, feature_set, period);
CREATE INDEX gaps_status ON gaps (exchange, timeframe, pair, status, start, missing);
CREATE INDEX runs_started ON runs (exchange, started_at);
COMMIT;
