import { describe, expect, it } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { authenticityKeyId } from '../../src/log/authenticity.ts';
import { vaultKey } from '../../src/log/data-keys.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import type { Recorded, StreamName } from '../../src/log/event.ts';
import { memoryKeyring } from '../../src/log/keyring.ts';
import { Sealing } from '../../src/log/sealing.ts';
import type { BlobStore } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { withCommitFaults, withFailingReads } from './faults.ts';
import { add, cause, happened, type Trial } from './trial.ts';

const secret = Buffer.from('the private key of an authority');

async function sealedIn(log: EventLog, stream: StreamName): Promise<Recorded> {
  const facts = [{ ...happened(1), secrets: { key: secret, other: Buffer.from('another') } }];
  await log.append([{ stream, expected: 0, facts }], cause);
  const [event] = await collect(log.read(stream));
  if (event === undefined) throw new Error('nothing was stored');
  return event;
}

/** All except the key of the log itself. */
const keysOfSecrets = async (vault: BlobStore): Promise<string[]> =>
  (await vault.list('')).filter((key) => key !== vaultKey(authenticityKeyId));

export function describeSecrets(trial: () => Trial): void {
  describe('a sealed secret', () => {
    it('opens on every handle, and is nowhere in the store as it is', async () => {
      const [one, other] = [await trial().log(), await trial().log()];
      const event = await sealedIn(one.state, 'a-1');
      expect(Buffer.from(await other.state.unseal(event, 'key'))).toEqual(secret);
      const driver = await trial().driver();
      for await (const { batch } of driver.read('state', 1)) {
        expect(Buffer.from(batch).includes(secret)).toBe(false);
        expect(Buffer.from(batch).includes(secret.toString('base64'))).toBe(false);
      }
      expect(await keysOfSecrets(driver.vault)).toHaveLength(2);
    });

    it('does not open when it was moved or changed', async () => {
      const { state } = await trial().log();
      const event = await sealedIn(state, 'a-1');
      const other = await sealedIn(state, 'a-2');
      const key = event.sealed?.['key'];
      const foreign = other.sealed?.['key'];
      if (!key || !foreign) throw new Error('nothing was sealed');
      const flipped = Buffer.from(key.ciphertext, 'base64');
      flipped[3] = (flipped[3] ?? 0) ^ 1;
      const moved: Recorded[] = [
        { ...event, stream: 'a-2' },
        { ...event, id: other.id },
        { ...event, fact: { ...event.fact, type: 'trial.other' } },
        { ...event, sealed: { key: foreign } },
        { ...event, sealed: { key: { ...key, keyId: foreign.keyId } } },
        { ...event, sealed: { key: { ...key, ciphertext: flipped.toString('base64') } } },
        { ...event, sealed: { key: { ...key, ciphertext: '' } } },
      ];
      for (const one of moved)
        await expect(state.unseal(one, 'key')).rejects.toMatchObject({ code: 'damaged' });
      const renamed = { ...event, sealed: { other: key } };
      await expect(state.unseal(renamed, 'other')).rejects.toMatchObject({ code: 'damaged' });
    });

    it('is gone for good when its data key was destroyed', async () => {
      const [one, other] = [await trial().log(), await trial().log()];
      const event = await sealedIn(one.state, 'a-1');
      await one.state.destroySecrets(event);
      for (const log of [one, other])
        await expect(log.state.unseal(event, 'key')).rejects.toMatchObject({ code: 'not_found' });
      await expect(one.state.unseal(event, 'nothing')).rejects.toMatchObject({ code: 'not_found' });
      expect(await keysOfSecrets((await trial().driver()).vault)).toEqual([]);
    });

    it('does not open with another keyring, which is told apart from damage', async () => {
      const event = await sealedIn((await trial().log()).state, 'a-1');
      // Nor the log itself, whose key is under it as well.
      await expect(trial().log({ keyring: memoryKeyring() })).rejects.toMatchObject({ code: 'unavailable' });
      const { vault } = await trial().driver();
      const stranger = new Sealing(vault, memoryKeyring(), realWorld);
      await expect(stranger.unseal(event, 'key')).rejects.toMatchObject({ code: 'unavailable' });
    });

    it('does not open when the wrapped data key was changed', async () => {
      const { state } = await trial().log();
      const event = await sealedIn(state, 'a-1');
      const { vault } = await trial().driver();
      const [name = ''] = await keysOfSecrets(vault);
      const wrapped = Buffer.from((await vault.get(name)) ?? []);
      wrapped[wrapped.length - 20] = (wrapped.at(-20) ?? 0) ^ 1;
      await vault.replace(name, (await vault.get(name)) ?? wrapped, wrapped);
      await expect(state.unseal(event, 'key')).rejects.toMatchObject({ code: 'damaged' });
    });

    it('leaves no data key behind when its append fails', async () => {
      const { vault } = await trial().driver();
      const facts = [{ ...happened(1), secrets: { key: secret } }];
      const full = await trial().log({ wrap: (d) => withCommitFaults(d, () => 'no space') });
      await expect(full.state.append([{ stream: 'a-1', expected: 0, facts }], cause)).rejects.toMatchObject({
        code: 'no_space',
      });
      // Until its slot holds another batch the event might still come, and need the key.
      expect(await keysOfSecrets(vault)).toHaveLength(1);
      const sound = await trial().log();
      await add(sound.state, 'a-1', 1);
      for (const expected of [0, 7])
        await expect(sound.state.append([{ stream: 'a-1', expected, facts }], cause)).rejects.toMatchObject({
          code: 'conflict',
        });
      await full.state.head();
      await full.close();
      expect(await keysOfSecrets(vault)).toEqual([]);
    });

    it('opens when the store refused the append and had carried it out', async () => {
      const facts = [{ ...happened(1), secrets: { key: secret } }];
      const { state } = await trial().log({ wrap: (d) => withCommitFaults(d, () => 'refused though done') });
      expect(await state.append([{ stream: 'a-1', expected: 0, facts }], cause)).toBe(1);
      const [event] = await collect(state.read('a-1'));
      if (event === undefined) throw new Error('nothing was stored');
      expect(Buffer.from(await state.unseal(event, 'key'))).toEqual(secret);
    });

    it('opens when the answer was lost for longer than the log waits', async () => {
      const facts = [{ ...happened(1), secrets: { key: secret } }];
      let silent = false;
      const { state } = await trial().log({
        wrap: (d) =>
          withFailingReads(
            withCommitFaults(d, () => {
              silent = true;
              return 'lost answer';
            }),
            () => silent,
          ),
        settleMs: 30,
      });
      const append = state.append([{ stream: 'a-1', expected: 0, facts }], cause);
      await expect(append).rejects.toMatchObject({ code: 'ambiguous' });
      silent = false;
      const [event] = await collect(state.read('a-1'));
      if (event === undefined) throw new Error('nothing was stored');
      expect(Buffer.from(await state.unseal(event, 'key'))).toEqual(secret);
    });
  });
}
