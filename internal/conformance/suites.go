package main

// suites are in the order of the table.
var suites = []suite{
	nettest,
	fasthttp,
	h2spec,
	redcon,
}
