import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Keeps what is posted to it, a line each, and gives it back. */
export interface HttpWitness {
  readonly url: string;
  readonly lines: string[];
  /** Answers 503 to everything. */
  away: boolean;
  close(): void;
}

/** On a port of its own, behind a name and a password. */
export async function openWitness(): Promise<HttpWitness> {
  const lines: string[] = [];
  const server: Server = createServer((request, response) => {
    const authorized = request.headers.authorization === `Basic ${btoa('joe:pass word')}`;
    if (witness.away || !authorized) {
      response.writeHead(authorized ? 503 : 401).end('closed for lunch\n');
      return;
    }
    if (request.method === 'GET') {
      response.end(`${lines.join('\n')}\n`);
      return;
    }
    let body = '';
    request.on('data', (d: Buffer) => (body += d.toString()));
    request.on('end', () => {
      lines.push(body);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const witness: HttpWitness = {
    url: `http://joe:pass%20word@127.0.0.1:${port}/heads`,
    lines,
    away: true,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return witness;
}
