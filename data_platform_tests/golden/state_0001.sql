BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
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
INSERT INTO "commits" VALUES(1,'ohlcv','binance','1h','BTC-USDT','','2024-01',1,24,1704067200000,1704150000000,'4cf2ebb6c48282d4d2bf1c564b11e96f6c663215eb6674d20ea550d2fe67ee6b','b1ca6fa0432a95c8fe8e468b977025c1813b2825c4a93436b2be229f868af397','ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet',NULL,'[]',1,'factory',NULL,1704067200000,1704150000000,'','','new',24,0,0,1795857285013);
INSERT INTO "commits" VALUES(2,'ohlcv','binance','1h','BTC-USDT','','2024-01',2,24,1704067200000,1704150000000,'e784ba1cba34b690c9ca3a5d352a279d1089eb762c90ed5a233d4bcd16eef2e9','0b231e930d7b76199f4d82bc1bee585eb2e3692af6c58119dcd2df98fff50d14','ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet','b1ca6fa0432a95c8fe8e468b977025c1813b2825c4a93436b2be229f868af397','[]',1,'factory',NULL,1704067200000,1704070800000,'','','correction',0,2,0,1795857285039);
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
INSERT INTO "files" VALUES('ohlcv/exchange=binance/timeframe=1h/pair=BTC-USDT/period=2024-01/candles.parquet','ohlcv','binance','1h','BTC-USDT','','2024-01',2934,'0b231e930d7b76199f4d82bc1bee585eb2e3692af6c58119dcd2df98fff50d14','1795857285034434689-2211854');
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
INSERT INTO "gaps" VALUES(1,'binance','1h','BTC-USDT',1704412800000,1704499200000,24,'outage',1,'planted',1,NULL);
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
INSERT INTO "partitions" VALUES('ohlcv','binance','1h','BTC-USDT','','2024-01',2,2);
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
CREATE INDEX files_partition ON files (layer, exchange, timeframe, pair, feature_set, period);
CREATE INDEX gaps_status ON gaps (exchange, timeframe, pair, status, start, missing);
COMMIT;
