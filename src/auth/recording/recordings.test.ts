import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryObjects } from '../../base/memory-objects.ts';
import { recordingKey } from '../../domain/recording.ts';
import { sealBox } from '../../pki/sealed-box.ts';
import type { Chunk } from '../../recording/chunk.ts';
import { ChunkCutter } from '../../recording/chunk-cutter.ts';
import { framesOf, outputOf, testKey, testSid } from '../../recording/testing.ts';
import { adminCall, eventsOf, hostCall, openTestAuth, type TestAuth, userCall } from '../testing.ts';
import { usualQuotas } from '../limits/quota-rules.ts';
import { rulesOf } from '../rules-of.ts';
import { eraseRecording } from './erase-recording.ts';
import { openRecording } from './open-recording.ts';
import { readRecording } from './read-recording.ts';
import { chunksIn } from '../../recording/chunks-in.ts';
import { RecordingStore } from '../../recording/recording-store.ts';
import { sealedFor } from './session-keys.ts';
import { uploadRecording } from './upload-recording.ts';

const node = hostCall('Node', '00000000-0000-4000-8000-0000000000b1');
const otherNode = hostCall('Node', '00000000-0000-4000-8000-0000000000b2');
let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ settings: { [recordingKey]: 'node' } });
});
afterEach(() => auth.close());

function chunksOf(...texts: string[]): Chunk[] {
  const cutter = new ChunkCutter({ sid: testSid, key: testKey, elapsedMs: () => 0, wallMs: () => 0 });
  return texts.flatMap((text, i) => {
    cutter.add({ type: 'output', bytes: Buffer.from(text) });
    return cutter.cut(i === texts.length - 1) ?? [];
  });
}

const sealedKey = (sid = testSid): string => {
  const { publicKey = '' } = auth.deps.views.recording.state().key ?? {};
  return sealBox(Buffer.from(publicKey, 'base64'), testKey, sealedFor(sid)).toString('base64');
};

const send = (chunks: readonly Chunk[], { call = node, first = chunks[0]?.head.number ?? 0 } = {}) =>
  uploadRecording(auth.deps, call, {
    ...{ sid: testSid, user: 'alice', sealedKey: sealedKey(), first },
    chunks: Buffer.concat(chunks.map(({ bytes }) => bytes)).toString('base64'),
  });

async function play(call = adminCall): Promise<string> {
  const { key, next } = await openRecording(auth.deps, call, { sid: testSid });
  let text = '';
  for (let first = 0; first < next;) {
    const { chunks } = await readRecording(auth.deps, call, { sid: testSid, first });
    const read = chunksIn(testSid, Buffer.from(chunks, 'base64'));
    text += outputOf(framesOf(read, Buffer.from(key, 'base64')));
    first = (read.at(-1)?.head.number ?? next) + 1;
  }
  return text;
}

describe('a recording', () => {
  it('is stored as it comes, in one chain, and played while it runs and after', async () => {
    const [a, b, c, d] = chunksOf('one ', 'two ', 'three ', 'four') as [Chunk, Chunk, Chunk, Chunk];
    expect(await send([a, b])).toMatchObject({ next: 2, isOver: false, head: b.hash.toString('hex') });
    expect(await play()).toBe('one two ');
    expect(await send([c])).toMatchObject({ next: 3 });
    expect(await send([d])).toMatchObject({ next: 4, isOver: true, place: 'memory/0b/' + `${testSid}/` });
    expect(await play()).toBe('one two three four');
  });

  it('sent again, or over what is stored, is stored once; what leaves a gap is not taken', async () => {
    const all = chunksOf('one ', 'two ', 'three');
    expect(await send(all.slice(1))).toMatchObject({ next: 0 });
    await send(all.slice(0, 1));
    await send(all.slice(0, 1));
    expect(await send(all)).toMatchObject({ next: 3, isOver: true });
    expect(await send(all)).toMatchObject({ next: 3, isOver: true });
    expect(await send([], { first: 0 })).toMatchObject({ next: 3, isOver: true });
    expect(await play()).toBe('one two three');
  });

  it('is taken by any auth server, whoever stored what was before', async () => {
    const objects = memoryObjects();
    const [one, other] = [new RecordingStore(objects), new RecordingStore(objects)];
    const all = chunksOf('a', 'b', 'c', 'd');
    await one.store(testSid, all.slice(0, 1));
    expect((await other.store(testSid, all.slice(1, 2))).next).toBe(2);
    expect((await one.store(testSid, all.slice(1, 3))).next).toBe(3);
    expect((await other.store(testSid, all.slice(2))).isOver).toBe(true);
    const read: Chunk[] = [];
    for (let more = await one.read(testSid, 0); more.length > 0;) {
      read.push(...more);
      more = await one.read(testSid, read.length);
    }
    expect(outputOf(framesOf(read))).toBe('abcd');
    await one.remove(testSid);
    expect((await other.read(testSid, 0)).length).toBe(0);
  });

  it('of another machine, of another session or key, or no chunks at all are refused', async () => {
    const all = chunksOf('one', 'two');
    await send(all.slice(0, 1));
    await expect(send(all.slice(1), { call: otherNode })).rejects.toMatchObject({ code: 'access_denied' });
    await expect(send(all.slice(1), { call: adminCall })).rejects.toMatchObject({ code: 'access_denied' });
    await expect(send(all.slice(1), { first: 0 })).rejects.toMatchObject({ code: 'bad_request' });
    const junk = { sid: testSid, user: 'alice', sealedKey: sealedKey(), first: 1, chunks: 'AAAA' };
    await expect(uploadRecording(auth.deps, node, junk)).rejects.toMatchObject({ code: 'damaged' });
    const bytes = Buffer.from(all[1]?.bytes ?? '');
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    const forged = { ...junk, chunks: bytes.toString('base64') };
    await expect(uploadRecording(auth.deps, node, forged)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('does not continue what is stored') as string,
    });
    const other = { ...junk, sid: '0b0a5b1e-3f2b-4c5d-8e9f-000000000002', first: 0, chunks: '' };
    await expect(uploadRecording(auth.deps, node, other)).rejects.toMatchObject({ code: 'damaged' });
    expect(await play()).toBe('one');
  });

  it('that lies there damaged or not at all is named', async () => {
    const values = new Map<string, Uint8Array>();
    const store = new RecordingStore(memoryObjects(values));
    await store.store(testSid, chunksOf('a', 'b'));
    const [name = ''] = values.keys();
    const bytes = Buffer.from(values.get(name) ?? '');
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    values.set(name, bytes.subarray(0, -1));
    await expect(store.read(testSid, 0)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(`chunks 0 to 1 of ${testSid}, in memory/${name}`) as string,
    });
  });

  it('is seen by its own user and by whom rules allow, and by nobody else, who learns nothing', async () => {
    await send(chunksOf('mine'));
    const { deps } = auth;
    const none = {
      code: 'not_found',
      message: `there is no recording of session ${testSid}, or it was erased`,
    };
    const stranger = { ...userCall('bob', []), rules: { username: 'bob', roles: [], traits: {} } };
    await expect(openRecording(deps, stranger, { sid: testSid })).rejects.toMatchObject(none);
    await expect(readRecording(deps, stranger, { sid: testSid, first: 0 })).rejects.toMatchObject(none);
    const own = userCall('alice', ['access']);
    if (own.caller.kind !== 'user') throw new Error('a person');
    expect(await play({ ...own, rules: rulesOf(deps)(own.caller) })).toBe('mine');
    const bob = userCall('bob', ['access']);
    if (bob.caller.kind !== 'user') throw new Error('a person');
    const others = { ...bob, rules: rulesOf(deps)(bob.caller) };
    await expect(openRecording(deps, others, { sid: testSid })).rejects.toMatchObject(none);
  });

  it('whose bytes another server has is refused, with what to do', async () => {
    await send(chunksOf('x'));
    const elsewhere = { ...auth.deps.recordings, store: new RecordingStore(memoryObjects()) };
    await expect(
      openRecording({ ...auth.deps, recordings: elsewhere }, adminCall, { sid: testSid }),
    ).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('auth_service.audit_sessions_uri') as string,
    });
    expect(JSON.stringify(await eventsOf(auth.log, 'audit'))).not.toContain('session.recording.access');
  });

  it('that was played, and by whom, is in the audit', async () => {
    await send(chunksOf('x'));
    await play();
    const events = await eventsOf(auth.log, 'audit');
    expect(JSON.stringify(events)).toContain('"event":"session.recording.access"');
  });

  it('that was erased is gone for good, and its machine can add nothing', async () => {
    const all = chunksOf('secret', 'more');
    await send(all.slice(0, 1));
    expect(
      await eraseRecording(auth.deps, adminCall, { sid: testSid, reason: 'a password was shown' }),
    ).toEqual({
      status: 'erased',
    });
    await expect(play()).rejects.toMatchObject({ code: 'not_found' });
    await expect(send(all.slice(1))).rejects.toMatchObject({ code: 'not_found' });
    await expect(eraseRecording(auth.deps, adminCall, { sid: testSid, reason: '' })).rejects.toMatchObject({
      code: 'not_found',
    });
    const text = JSON.stringify(await eventsOf(auth.log, 'audit'));
    expect(text).toContain('a password was shown');
    expect((await auth.deps.recordings.store.read(testSid, 0)).length).toBe(1);
  });

  it('counts towards what one machine may send', async () => {
    await auth.close();
    auth = await openTestAuth({
      settings: { [recordingKey]: 'node' },
      quotas: { ...usualQuotas, recording_bytes: 6_000 },
    });
    const noise = randomBytes(8_000).toString('latin1');
    const all = chunksOf(noise, noise);
    await send(all.slice(0, 1));
    await expect(send(all.slice(1))).rejects.toMatchObject({ code: 'quota' });
  });
});
