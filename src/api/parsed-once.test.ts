import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { catalogue } from '../domain/audit-catalogue.ts';
import { completed, type ParsedAuditEvent, parsedAuditEvent } from '../domain/audit-event.ts';
import { type AuditOutbox, openAuditOutbox } from './audit-outbox.ts';
import { type FakeAuth, fakeAuth, unavailable } from './audit-outbox-testing.ts';
import { emitAudit } from './operations/audit.ts';

let directory: string;
const opened: AuditOutbox[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'parsed-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const outbox of opened.splice(0)) await outbox.close();
  rmSync(directory, { recursive: true });
});

async function open(auth: FakeAuth): Promise<AuditOutbox> {
  const outbox = await openAuditOutbox({
    directory: join(directory, 'spool'),
    client: auth as never,
    sink: silentLog,
    world: realWorld,
    maxPending: 100,
    drainMs: 0,
  });
  opened.push(outbox);
  return outbox;
}
const event = (n: number): ParsedAuditEvent =>
  completed(catalogue.exec({ command: `echo ${n}`, exitCode: '0' }), {
    ...{ uid: realWorld.uuid(), time: realWorld.now(), ei: 0, n },
  });
const delivered = (auth: FakeAuth, count: number) =>
  vi.waitFor(
    () => {
      expect(auth.stored()).toHaveLength(count);
    },
    { timeout: 10_000 },
  );
/** Each time that the shape of one event is looked at, alone or in a list. */
const parsing = () => vi.spyOn(parsedAuditEvent._zod, 'run');

describe('an audit event', () => {
  it('that was made from the catalogue is not parsed by whoever emits and sends it', async () => {
    const auth = fakeAuth();
    const outbox = await open(auth);
    const parsed = parsing();
    for (let n = 0; n < 5; n++) await outbox.emit(event(n));
    await delivered(auth, 5);
    expect(parsed).not.toHaveBeenCalled();
    expect(auth.batches.flat()[0]).toMatchObject({ event: 'exec', code: 'T3002I', n: 0 });
  });

  it('that another process left is parsed once, however often it is sent', async () => {
    const away = fakeAuth();
    away.answer = unavailable;
    const first = await open(away);
    for (let n = 0; n < 5; n++) await first.emit(event(n));
    await first.close();
    const parsed = parsing();
    const auth = fakeAuth();
    let refused = 0;
    auth.answer = () => (refused++ < 2 ? unavailable() : Promise.resolve());
    await open(auth);
    await delivered(auth, 5);
    expect(refused).toBe(3);
    expect(parsed).toHaveBeenCalledTimes(5);
    expect(auth.batches.flat().map((one) => Object.keys(one))).toEqual(
      Array.from({ length: 5 }, () => Object.keys(event(0))),
    );
  });

  it('is parsed once where it enters the auth server', () => {
    const parsed = parsing();
    const body: unknown = JSON.parse(JSON.stringify({ events: [event(1), event(2)] }));
    expect(emitAudit.input.safeParse(body).success).toBe(true);
    expect(parsed).toHaveBeenCalledTimes(2);
  });
});
