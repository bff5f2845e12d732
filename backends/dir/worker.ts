/* The worker thread of a directory store: handles one request after the other. */
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import * as blobs from './blob-tables.ts';
import { Connection, databaseName } from './connection.ts';
import { failureOf, type Calls, type Operation, type Reply, type Request } from './protocol.ts';
import { FollowingReader } from './read-only.ts';
import * as slots from './slot-tables.ts';

type Handlers = { readonly [O in Operation]: (args: Calls[O]['args']) => Calls[O]['answer'] };

let writer: Connection | undefined;
let reader: FollowingReader | undefined;

function connection(): Connection {
  if (writer === undefined) throw new Error('bug: the store was not opened for writing first');
  return writer;
}

const read = <T>(act: (connection: Connection) => T): T => (reader ? reader.read(act) : act(connection()));

const handlers: Handlers = {
  open: ({ path, mode }) => {
    if (mode === 'read') reader = new FollowingReader(path);
    else writer = new Connection(path, join(path, databaseName), 'write');
    return undefined;
  },
  append: ({ partition, after, batch }) => slots.append(connection(), partition, after, batch),
  load: (args) => {
    slots.load(connection(), args.partition, args.slots);
    return undefined;
  },
  page: (request) => read((from) => slots.page(from, request)),
  bounds: ({ partition }) => read((from) => slots.bounds(from, partition)),
  trim: ({ partition, before }) => {
    slots.trim(connection(), partition, before);
    return undefined;
  },
  create: ({ table, key, value }) => blobs.create(connection(), table, key, value),
  replace: ({ table, key, from, to }) => blobs.replace(connection(), table, key, { from, to }),
  get: ({ table, key }) => read((from) => blobs.get(from, table, key)),
  destroy: ({ table, key }) => {
    blobs.destroy(connection(), table, key);
    return undefined;
  },
  remove: ({ table, key }) => {
    blobs.remove(connection(), table, key);
    return undefined;
  },
  list: ({ table, prefix }) => read((from) => blobs.list(from, table, prefix)),
  close: () => {
    writer?.close();
    reader?.close();
    writer = reader = undefined;
    return undefined;
  },
};

function reply<O extends Operation>({ id, operation, args }: Request<O>): Reply {
  try {
    const answer = handlers[operation](args);
    return { id, answer, trouble: writer?.trouble };
  } catch (e) {
    return { id, failure: failureOf(e) };
  }
}

parentPort?.on('message', (request: Request) => {
  const answer = reply(request);
  parentPort?.postMessage(answer);
  // The last reply; without a listener the thread ends by itself.
  if (request.operation === 'close') parentPort?.close();
});
