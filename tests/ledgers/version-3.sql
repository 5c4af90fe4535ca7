BEGIN TRANSACTION;
CREATE TABLE accrual (
	hour BIGINT NOT NULL, 
	host VARCHAR(128) NOT NULL, 
	scope VARCHAR(32) NOT NULL, 
	resource VARCHAR(128) NOT NULL, 
	component VARCHAR(32) NOT NULL, 
	price VARCHAR(32) NOT NULL, 
	revision INTEGER NOT NULL, 
	elapsed_ns BIGINT NOT NULL, 
	quantity BIGINT NOT NULL, 
	pico BIGINT, 
	PRIMARY KEY (hour, host, scope, resource, component, price, revision)
)
 WITHOUT ROWID

;
INSERT INTO "accrual" VALUES(490896,'host','host','cpu','rent','506026ef92a31897',0,15000000000,60000000,323636666667);
INSERT INTO "accrual" VALUES(490896,'host','host','memory','rent','582d364a04f4e727',0,15000000000,120000000,86030000000);
CREATE TABLE charge (
	hour BIGINT NOT NULL, 
	host VARCHAR(128) NOT NULL, 
	scope VARCHAR(32) NOT NULL, 
	resource VARCHAR(128) NOT NULL, 
	component VARCHAR(32) NOT NULL, 
	workload VARCHAR(128) NOT NULL, 
	model VARCHAR(128) NOT NULL, 
	run VARCHAR(128) NOT NULL, 
	attempt INTEGER NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	method VARCHAR(32) NOT NULL, 
	price VARCHAR(32) NOT NULL, 
	currency VARCHAR(32) NOT NULL, 
	revision INTEGER NOT NULL, 
	quantity BIGINT NOT NULL, 
	pico BIGINT, 
	rate VARCHAR(40) NOT NULL, 
	known_at_ns BIGINT NOT NULL, 
	PRIMARY KEY (hour, host, scope, resource, component, workload, model, run, attempt, state, method, price, currency, revision)
)
 WITHOUT ROWID

;
INSERT INTO "charge" VALUES(490896,'host','host','cpu','rent','__system__','','',0,'idle','cpu_time','506026ef92a31897','USD',0,1500000,8090916666,'1',1767225615000000000);
INSERT INTO "charge" VALUES(490896,'host','host','cpu','rent','__unallocated__','','',0,'idle','remainder','506026ef92a31897','USD',0,28500000,153727416666,'1',1767225615000000000);
INSERT INTO "charge" VALUES(490896,'host','host','cpu','rent','chat','m','',0,'active','cpu_time','506026ef92a31897','USD',0,3000000,16181833335,'1',1767225615000000000);
INSERT INTO "charge" VALUES(490896,'host','host','cpu','rent','chat','m','',0,'idle','cpu_time','506026ef92a31897','USD',0,27000000,145636500000,'1',1767225615000000000);
INSERT INTO "charge" VALUES(490896,'host','host','memory','rent','__system__','','',0,'idle','resident_memory','582d364a04f4e727','USD',0,14649,10501710,'1',1767225615000000000);
INSERT INTO "charge" VALUES(490896,'host','host','memory','rent','__unallocated__','','',0,'idle','remainder','582d364a04f4e727','USD',0,89985351,64511998290,'1',1767225615000000000);
INSERT INTO "charge" VALUES(490896,'host','host','memory','rent','chat','m','',0,'active','resident_memory','582d364a04f4e727','USD',0,30000000,21507500000,'1',1767225615000000000);
CREATE TABLE counter (
	metric VARCHAR(64) NOT NULL, 
	labels TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (metric, labels)
)
 WITHOUT ROWID

;
INSERT INTO "counter" VALUES('unitcost_cost_usd_total','["__system__", "other", "", "cpu", "idle"]',8090916666);
INSERT INTO "counter" VALUES('unitcost_cost_usd_total','["__system__", "other", "", "memory", "idle"]',10501710);
INSERT INTO "counter" VALUES('unitcost_cost_usd_total','["__unallocated__", "other", "", "cpu", "idle"]',153727416666);
INSERT INTO "counter" VALUES('unitcost_cost_usd_total','["__unallocated__", "other", "", "memory", "idle"]',64511998290);
INSERT INTO "counter" VALUES('unitcost_cost_usd_total','["chat", "inference", "m", "cpu", "active"]',16181833335);
INSERT INTO "counter" VALUES('unitcost_cost_usd_total','["chat", "inference", "m", "cpu", "idle"]',145636500000);
INSERT INTO "counter" VALUES('unitcost_cost_usd_total','["chat", "inference", "m", "memory", "active"]',21507500000);
INSERT INTO "counter" VALUES('unitcost_held_seconds_total','["__system__", "", "cpu", "idle"]',1500000);
INSERT INTO "counter" VALUES('unitcost_held_seconds_total','["__system__", "", "memory", "idle"]',14649);
INSERT INTO "counter" VALUES('unitcost_held_seconds_total','["__unallocated__", "", "cpu", "idle"]',28500000);
INSERT INTO "counter" VALUES('unitcost_held_seconds_total','["__unallocated__", "", "memory", "idle"]',89985351);
INSERT INTO "counter" VALUES('unitcost_held_seconds_total','["chat", "m", "cpu", "active"]',3000000);
INSERT INTO "counter" VALUES('unitcost_held_seconds_total','["chat", "m", "cpu", "idle"]',27000000);
INSERT INTO "counter" VALUES('unitcost_held_seconds_total','["chat", "m", "memory", "active"]',30000000);
INSERT INTO "counter" VALUES('unitcost_requests_total','["chat", "m", "succeeded"]',9000000);
INSERT INTO "counter" VALUES('unitcost_resource_cost_usd_total','["cpu", "rent"]',323636666667);
INSERT INTO "counter" VALUES('unitcost_resource_cost_usd_total','["memory", "rent"]',86030000000);
CREATE TABLE drift_slot (
	start_ns BIGINT NOT NULL, 
	workload VARCHAR(128) NOT NULL, 
	model VARCHAR(128) NOT NULL, 
	cost BIGINT NOT NULL, 
	active BIGINT NOT NULL, 
	idle BIGINT NOT NULL, 
	loading BIGINT NOT NULL, 
	attempted BIGINT NOT NULL, 
	succeeded BIGINT NOT NULL, 
	input BIGINT NOT NULL, 
	output BIGINT NOT NULL, 
	prefill BIGINT NOT NULL, 
	decode BIGINT NOT NULL, 
	PRIMARY KEY (start_ns, workload, model)
)
 WITHOUT ROWID

;
CREATE TABLE drift_watch (
	workload VARCHAR(128) NOT NULL, 
	model VARCHAR(128) NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (workload, model)
)
 WITHOUT ROWID

;
CREATE TABLE epoch_mark (
	workload VARCHAR(128) NOT NULL, 
	run VARCHAR(128) NOT NULL, 
	attempt INTEGER NOT NULL, 
	epoch FLOAT NOT NULL, 
	at_ns BIGINT NOT NULL, 
	pico BIGINT, 
	used_pico BIGINT, 
	PRIMARY KEY (workload, run, attempt, epoch)
)
 WITHOUT ROWID

;
CREATE TABLE event (
	id INTEGER NOT NULL, 
	at_ns BIGINT NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE meta (
	name VARCHAR(32) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
INSERT INTO "meta" VALUES('schema_version','3');
CREATE TABLE price (
	id VARCHAR(32) NOT NULL, 
	resource VARCHAR(128) NOT NULL, 
	component VARCHAR(32) NOT NULL, 
	pico_per_unit BIGINT, 
	model VARCHAR(32) NOT NULL, 
	source VARCHAR(128) NOT NULL, 
	valid_from_ns BIGINT NOT NULL, 
	valid_to_ns BIGINT, 
	as_of_ns BIGINT NOT NULL, 
	known_at_ns BIGINT NOT NULL, 
	currency VARCHAR(32) NOT NULL, 
	rule VARCHAR(128) NOT NULL, 
	unit VARCHAR(32) DEFAULT 'hour' NOT NULL, 
	rate VARCHAR(40) DEFAULT '1' NOT NULL, 
	rate_source VARCHAR(128) DEFAULT '' NOT NULL, 
	rate_as_of_ns BIGINT DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
INSERT INTO "price" VALUES('506026ef92a31897','cpu','rent',77672800000000,'override','test',0,NULL,0,0,'USD','default_weights','hour','1','',0);
INSERT INTO "price" VALUES('582d364a04f4e727','memory','rent',20647200000000,'override','test',0,NULL,0,0,'USD','default_weights','hour','1','',0);
CREATE TABLE run (
	workload VARCHAR(128) NOT NULL, 
	run VARCHAR(128) NOT NULL, 
	document TEXT NOT NULL, 
	last_charged_ns BIGINT NOT NULL, 
	PRIMARY KEY (workload, run)
)
 WITHOUT ROWID

;
CREATE TABLE state (
	id INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
INSERT INTO "state" VALUES(1,4,'{"position":{"at_ns":1767225615000000000,"clock":{"wall_ns":1767225615000000000,"mono_ns":16000000000,"boot_ns":16000000000,"boot_id":"boot"}},"metered_since_ns":1767225600000000000,"shares":[{"resource":{"id":"cpu","capacity_micro":4000000},"shares":[{"account":{"workload":"chat","model":"m","run":"","attempt":0},"state":"active","method":"cpu_time","weight":1000000000},{"account":{"workload":"chat","model":"m","run":"","attempt":0},"state":"idle","method":"cpu_time","weight":9000000000},{"account":{"workload":"__system__","model":"","run":"","attempt":0},"state":"idle","method":"cpu_time","weight":500000000},{"account":{"workload":"__unallocated__","model":"","run":"","attempt":0},"state":"idle","method":"remainder","weight":9500000000}]},{"resource":{"id":"memory","capacity_micro":8000000},"shares":[{"account":{"workload":"chat","model":"m","run":"","attempt":0},"state":"active","method":"resident_memory","weight":2147483648},{"account":{"workload":"__system__","model":"","run":"","attempt":0},"state":"idle","method":"resident_memory","weight":1048576},{"account":{"workload":"__unallocated__","model":"","run":"","attempt":0},"state":"idle","method":"remainder","weight":6441402368}]}],"holders":[{"account":{"workload":"chat","model":"","run":"","attempt":0},"identities":["10@1"]}],"ready":["10@1"],"points":[[{"subject":"server","quantity":"requests","label":"succeeded","model":"m","part":"","tenant":""},{"micro":9000000,"mono_ns":16000000000,"generation":""}]],"seen":[["server",{"generation":"","boot_ns":16000000000,"layer":"engine","claims":[],"reading":"","tenancy":"","gone":false}]],"energy":[],"floors":[],"quotes":[],"frozen":[["cpu",[107878888889,20000000]],["memory",[28676666667,40000000]]],"picograms_per_kwh":null,"micrograms_left":[],"charged":{"layouts":[{"resources":[{"id":"cpu","capacity_micro":4000000},{"id":"memory","capacity_micro":8000000}],"split":{"name":"default_weights","usd_per_core_hour":"0.0316","usd_per_gib_hour":"0.0042","rest_usd_per_hour":"0"}}],"bases":[{"book":{"components":["rent"],"prices":[{"component":"rent","usd_per_hour":"98.32","model":"override","source":"test","valid_from_ns":0,"valid_to_ns":null,"as_of_ns":0,"known_at_ns":0,"sku":"","region":"","list_usd_per_hour":null,"rate":{"currency":"USD","units":"1","usd":"1","on":"1970-01-01","from_ns":0,"source":"by definition","pegged":true,"known_at_ns":0},"precedence":0}],"sibling":null,"sibling_prices":[]},"components":["rent"]}],"spans":[{"start_ns":1767225600000000000,"end_ns":1767225615000000000,"layout":0,"basis":0}],"since_ns":0},"rates":[],"sibling_quotes":[]}');
CREATE TABLE workload (
	name VARCHAR(128) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	owner VARCHAR(128) NOT NULL, 
	first_seen_ns BIGINT NOT NULL, 
	last_charged_ns BIGINT NOT NULL, 
	overflow INTEGER NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
INSERT INTO "workload" VALUES('chat','inference','',1767225600000000000,1767225615000000000,0);
COMMIT;
