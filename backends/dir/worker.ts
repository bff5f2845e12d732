/* The worker thread of a directory store: takes one request after the other, answers each. */
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { Database, databaseName } from './database.ts';
import { failureOf, type Calls, type Operation, type Reply, type Request } from './protocol.ts';
import { openForReading } from './read-only.ts';

type Handlers = { readonly [O in Operation]: (args: Calls[O]['args']) => Calls[O]['answer'] };

let opened: { readonly database: Database; readonly release: () => void } | undefined;

function database(): Database {
  if (opened === undefined) throw new Error('bug: the store was not opened first');
  return opened.database;
}

const handlers: Handlers = {
  open: ({ path, mode }) => {
    opened =
      mode === 'read'
        ? openForReading(path)
        : { database: new Database(path, join(path, databaseName), 'write'), release: () => undefined };
    return undefined;
  },
  commit: ({ partition, slot, batch }) => database().commit(partition, slot, batch),
  load: ({ partition, slots }) => {
    database().load(partition, slots);
    return undefined;
  },
  page: ({ partition, from, maxBytes }) => database().page(partition, from, maxBytes),
  trim: ({ partition, before }) => {
    database().trim(partition, before);
    return undefined;
  },
  put: ({ store, key, value }) => {
    database().put(store, key, value);
    return undefined;
  },
  get: ({ store, key }) => database().get(store, key),
  delete: ({ store, key }) => {
    database().delete(store, key);
    return undefined;
  },
  list: ({ store, prefix }) => database().list(store, prefix),
  close: () => {
    opened?.database.close();
    opened?.release();
    opened = undefined;
    return undefined;
  },
};

function reply<O extends Operation>({ id, operation, args }: Request<O>): Reply {
  try {
    return { id, answer: handlers[operation](args) };
  } catch (e) {
    return { id, failure: failureOf(e) };
  }
}

parentPort?.on('message', (request: Request) => {
  const answer = reply(request);
  parentPort?.postMessage(answer);
  // The last answer; without a listener the thread ends by itself.
  if (request.operation === 'close') parentPort?.close();
});
