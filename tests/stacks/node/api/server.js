// Answers with the rows of a table; all requests share one connection of PostgreSQL's own protocol.
const http = require("node:http");
const net = require("node:net");

const { PGHOST, PGUSER, PGDATABASE } = process.env;

function message(kind, ...words) {
  const text = Buffer.from(words.join("\0") + "\0");
  const head = Buffer.alloc(4);
  head.writeInt32BE(text.length + 4);
  return Buffer.concat([Buffer.from(kind), head, text]);
}

let data = Buffer.alloc(0);
let rows = [];
// The first answer is the one to the connection itself.
const waiting = [() => {}];

const database = net.connect(5432, PGHOST, () => {
  database.write(message("", "\0\x03\0\0user", PGUSER, "database", PGDATABASE, ""));
});
database.on("data", (chunk) => {
  data = Buffer.concat([data, chunk]);
  while (data.length >= 5 && data.length > data.readInt32BE(1)) {
    const kind = String.fromCharCode(data[0]);
    const end = data.readInt32BE(1) + 1;
    if (kind === "E") throw new Error(data.toString("utf8", 5, end));
    if (kind === "D") rows.push(data.toString("utf8", 11, 11 + data.readInt32BE(7)));
    if (kind === "Z") {
      waiting.shift()(rows);
      rows = [];
    }
    data = data.subarray(end);
  }
});

const server = http.createServer((request, response) => {
  waiting.push((notes) => {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ notes }) + "\n");
  });
  database.write(message("Q", "SELECT text FROM notes ORDER BY id"));
});
server.listen({ port: 3000, host: "0.0.0.0", backlog: 1024 });
