import { DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { pack } from '../../backends/dynamodb/compression.ts';
import { sortOfSlot, stripeOf } from '../../backends/dynamodb/items.ts';
import { openDynamodbDriver } from '../../backends/dynamodb/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Place, SlotDriver } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { startDynamodbEngines } from '../harness/dynamodb-server.ts';
import { type FaultyHttp, faultyHttp, type HttpFault } from './faulty-http.ts';

const start: Place = { slot: 0, hash: noHash };
const env = { sink: silentLog, world: realWorld };
const engines = await startDynamodbEngines();
const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  for (const engine of engines) await engine.close();
});

describe.each(engines)('the DynamoDB store on $name', (engine) => {
  const client = new DynamoDBClient({
    region: 'eu-central-1',
    endpoint: engine.endpoint,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  afterAll(() => {
    client.destroy();
  });
  let count = 0;
  let TableName: string;
  let middle: FaultyHttp;
  let driver: SlotDriver;
  beforeEach(async () => {
    TableName = `promises-${count++}`;
    middle = await faultyHttp(engine.endpoint);
    driver = await openDynamodbDriver(
      {
        tableName: TableName,
        region: 'eu-central-1',
        endpoint: middle.endpoint,
        accessKey: 'local',
        secretKey: 'local',
        readCapacityUnits: 10,
        writeCapacityUnits: 10,
        billingMode: 'pay_per_request',
        continuousBackups: false,
        pollStreamPeriodMs: 200,
        retryPeriodMs: 1_000,
      },
      env,
    );
    closers.push(
      () => middle.close(),
      () => driver.close(),
    );
  });

  /** The first `times` requests of that kind have `fault`. */
  const spoil = (operation: string, fault: HttpFault, times = 1): void => {
    let left = times;
    middle.decide((asked) => (asked === operation && left-- > 0 ? fault : 'none'));
  };
  const put = (p: string, s: string, more: PutItemCommand['input']['Item']) =>
    client.send(new PutItemCommand({ TableName, Item: { p: { S: p }, s: { S: s }, ...more } }));
  const itemAt = async (p: string, s: string) =>
    (await client.send(new GetItemCommand({ TableName, Key: { p: { S: p }, s: { S: s } } }))).Item;
  const putSlot = async (slot: number, batch: Uint8Array) =>
    put(stripeOf('state', slot), sortOfSlot(slot), { b: { B: await pack(batch) } });
  const slotsNow = async (): Promise<number[]> =>
    (await collect(driver.read('state', 1))).map(({ slot }) => slot);
  const batch = (): Buffer => randomBytes(64);
  const placeOf = (slot: number, stored: Uint8Array): Place => ({ slot, hash: ownHash(stored) });
  const committed = { status: 'committed' };
  const changed = { status: 'predecessor changed' };

  describe('an append', () => {
    it('follows a slot of the release before, which has no hash beside its batch', async () => {
      const old = batch();
      await putSlot(1, old);
      expect(await driver.append('state', { slot: 1, hash: randomBytes(32) }, batch())).toEqual(changed);
      expect(await driver.append('state', placeOf(1, old), batch())).toEqual(committed);
      await expect(collect(driver.read('state', 2, randomBytes(32)))).rejects.toMatchObject({ slot: 1 });
      expect(await collect(driver.read('state', 2, ownHash(old)))).toHaveLength(1);
    });

    it('is ambiguous when it was put and could not be checked', async () => {
      middle.decide((operation) => (operation === 'GetItem' ? 'error-before' : 'none'));
      await expect(driver.append('state', start, batch())).rejects.toMatchObject({ code: 'ambiguous' });
      middle.decide(() => 'none');
      expect(await slotsNow()).toEqual([1]);
    });

    it.each(['error-before', 'error-after', 'cut-after', 'throttle'] as const)(
      'is undone for certain: %s',
      async (fault) => {
        const stranger = { slot: 4, hash: randomBytes(32) };
        spoil('DeleteItem', fault);
        expect(await driver.append('state', stranger, batch())).toEqual(changed);
        expect(middle.counts.get(fault)).toBe(1);
        expect(await driver.bounds('state')).toEqual({ floor: 1, head: 0 });
        middle.decide((operation) => (operation === 'DeleteItem' ? 'error-before' : 'none'));
        await expect(driver.append('state', stranger, batch())).rejects.toMatchObject({ code: 'ambiguous' });
      },
    );

    it('is not undone by a request that arrives after it was put again', async () => {
      const [before, mine] = [batch(), batch()];
      spoil('DeleteItem', 'late');
      expect(await driver.append('state', placeOf(1, before), mine)).toEqual(changed);
      await putSlot(1, before);
      expect(await driver.append('state', placeOf(1, before), mine)).toEqual(committed);
      await middle.arrive();
      expect(await slotsNow()).toEqual([1, 2]);
    });

    it('whose answer did not come is ambiguous, and changes nothing when it arrives after another', async () => {
      const [late, other] = [batch(), batch()];
      spoil('PutItem', 'late');
      await expect(driver.append('state', start, late)).rejects.toMatchObject({ code: 'ambiguous' });
      expect(await driver.append('state', start, other)).toEqual(committed);
      await middle.arrive();
      const stored = await collect(driver.read('state', 1));
      expect(stored.map((one) => Buffer.from(one.batch))).toEqual([other]);
    });
  });

  it('calls a trim that ended half way ambiguous, and ends it when it is asked again', async () => {
    await putSlot(1, batch());
    middle.decide((operation) => (operation === 'BatchWriteItem' ? 'throttle' : 'none'));
    await expect(driver.trim('state', 2)).rejects.toMatchObject({ code: 'ambiguous' });
    expect(await driver.bounds('state')).toEqual({ floor: 2, head: 1 });
    middle.decide(() => 'none');
    await driver.trim('state', 2);
    expect(await itemAt(stripeOf('state', 1), sortOfSlot(1))).toBeUndefined();
  });

  describe('a reader', () => {
    it('never sees what lies below the floor, deleted or not', async () => {
      let after = start;
      for (let slot = 1; slot <= 6; slot++) {
        const next = batch();
        expect(await driver.append('state', after, next)).toEqual(committed);
        after = placeOf(slot, next);
      }
      await driver.trim('state', 5);
      // By one that slept and died between its put and the undoing of it.
      await putSlot(3, batch());
      expect((await collect(driver.read('state', 3))).map(({ slot }) => slot)).toEqual([5, 6]);
      expect(await driver.bounds('state')).toEqual({ floor: 5, head: 6 });
      await driver.trim('state', 2);
      expect(await itemAt(stripeOf('state', 3), sortOfSlot(3))).toBeUndefined();
      await driver.trim('state', 100);
      expect(await driver.bounds('state')).toEqual({ floor: 7, head: 6 });
      expect(await driver.append('state', after, batch())).toEqual(committed);
      expect(await driver.bounds('state')).toEqual({ floor: 7, head: 7 });
    });
  });

  describe('a value', () => {
    const [one, two, three] = ['one', 'two', 'three'].map((text) => Buffer.from(text)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    /** As the release before has stored it. */
    const oldValue = (value: Buffer) => put('vault', 'k\u0000000000', { b: { B: whole(value) } });
    const whole = (value: Buffer): Buffer => Buffer.concat([Buffer.of(0, 0, 0, 1), value]);

    it('of the release before is read, replaced and removed', async () => {
      await oldValue(one);
      expect(await driver.vault.create('k', one)).toBe('created');
      expect(await driver.vault.replace('k', one, two)).toBe('replaced');
      await oldValue(one);
      await driver.vault.remove('k');
      expect(await driver.vault.get('k')).toBeUndefined();
    });

    it('that was destroyed is half a value to the release before', async () => {
      await driver.vault.create('k', one);
      await driver.vault.destroy('k');
      expect((await itemAt('vault', 'k\u0000000000'))?.['b']?.B).toEqual(new Uint8Array(4).fill(255));
    });

    it.each(['late', 'error-after', 'cut-after', 'error-before', 'throttle'] as const)(
      'is what was written last, whatever became of a request: %s',
      async (fault) => {
        spoil('PutItem', fault);
        expect(await driver.vault.create('k', one)).toBe('created');
        spoil('PutItem', fault);
        expect(await driver.vault.replace('k', one, two)).toBe('replaced');
        expect(await driver.vault.replace('k', two, three)).toBe('replaced');
        await middle.arrive();
        expect(await driver.vault.get('k')).toEqual(three);
        spoil('PutItem', fault);
        await driver.vault.destroy('k');
        await middle.arrive();
        expect(await driver.vault.create('k', one)).toBe('destroyed');
        expect(await driver.vault.get('k')).toBeUndefined();
      },
    );

    it('never comes again by a creation that arrives after its destruction', async () => {
      spoil('PutItem', 'late');
      expect(await driver.vault.create('k', one)).toBe('created');
      await driver.vault.destroy('k');
      await middle.arrive();
      expect(await driver.vault.get('k')).toBeUndefined();
    });

    it('is not removed by a request that arrives after another was made', async () => {
      await driver.snapshots.create('k', one);
      spoil('DeleteItem', 'late');
      await driver.snapshots.remove('k');
      expect(await driver.snapshots.create('k', two)).toBe('created');
      await middle.arrive();
      expect(await driver.snapshots.get('k')).toEqual(two);
    });

    it('is ambiguous when an answer was lost and nothing can be seen', async () => {
      middle.decide((operation) => (operation === 'Query' ? 'error-before' : 'error-after'));
      await expect(driver.vault.create('k', one)).rejects.toMatchObject({ code: 'ambiguous' });
      middle.decide(() => 'none');
      expect(await driver.vault.create('k', one)).toBe('created');
    });

    it('in pieces is whole or nothing, and takes the place of half a one', async () => {
      const [large, other] = [randomBytes(900_000), randomBytes(900_000)];
      expect(await driver.snapshots.create('k', large)).toBe('created');
      // Another's piece, of the same number.
      await put('snapshots', 'k\u0000000001', { b: { B: randomBytes(358_400) }, c: { B: randomBytes(32) } });
      expect(await driver.snapshots.get('k')).toBeUndefined();
      expect(await driver.snapshots.create('k', other)).toBe('created');
      expect(Buffer.from((await driver.snapshots.get('k')) ?? []).equals(other)).toBe(true);
      expect(await driver.snapshots.create('k', large)).toBe('exists');
    });
  });
});
