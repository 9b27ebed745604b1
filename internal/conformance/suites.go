package main

// suites are in the order of the table.
var suites = []suite{
	nettest,
	fasthttp,
	dns,
	coder,
	gorilla,
	gobwas,
	ssh,
	yamux,
	h2spec,
	redcon,
	grpc,
	quicgo,
	goredis,
	pgx,
}
