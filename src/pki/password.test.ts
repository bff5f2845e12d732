import { argon2Sync, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { hashPassword, verifyPassword } from './password.ts';

const { hash: cheap } = cheapHash('correct horse', 8);

/** A hash of other, smaller cost: what an older release could have stored. */
function cheapHash(password: string, memory: number): { hash: string } {
  const nonce = Buffer.from('0123456789abcdef');
  const cost = { memory, passes: 1, parallelism: 1, tagLength: 32 };
  const tag = argon2Sync('argon2id', { message: Buffer.from(password), nonce, ...cost });
  const bare = (b: Buffer): string => b.toString('base64').replace(/=+$/, '');
  return { hash: `$argon2id$v=19$m=${memory},t=1,p=1$${bare(nonce)}$${bare(tag)}` };
}

describe('hashing a password', () => {
  it('writes PHC text with its cost, another salt each time', async () => {
    const [a, b] = await Promise.all([hashPassword('correct horse'), hashPassword('correct horse')]);
    expect(a).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(a).not.toBe(b);
  });

  it('leaves room in the thread pool for others', async () => {
    let hashed = 0;
    const hashes = Array.from({ length: 12 }, async () => {
      await hashPassword('correct horse');
      hashed++;
    });
    await promisify(randomBytes)(16); // queues for a thread behind whoever came first
    expect(hashed).toBeLessThan(4);
    await Promise.all(hashes);
  });

  it('does not block the event loop', async () => {
    let turnsOfLoop = 0;
    const count = (): void => {
      turnsOfLoop++;
      again = setImmediate(count);
    };
    let again = setImmediate(count);
    await Promise.all(Array.from({ length: 4 }, () => hashPassword('correct horse')));
    clearImmediate(again);
    expect(turnsOfLoop).toBeGreaterThan(20);
  });
});

describe('verifying a password', () => {
  it('takes the one that was hashed, and no other', async () => {
    const hash = await hashPassword('correct horse');
    expect(await verifyPassword(hash, 'correct horse')).toBe(true);
    expect(await verifyPassword(hash, 'correct horsf')).toBe(false);
    expect(await verifyPassword(hash, '')).toBe(false);
  });

  it('reads the whole of a long one', async () => {
    const long = 'x'.repeat(70_000);
    const hash = await hashPassword(`${long}a`);
    expect(await verifyPassword(hash, `${long}a`)).toBe(true);
    expect(await verifyPassword(hash, `${long}b`)).toBe(false);
    expect(await verifyPassword(hash, long)).toBe(false);
  });

  it('goes past a NUL', async () => {
    const hash = await hashPassword('secret\0one');
    expect(await verifyPassword(hash, 'secret\0two')).toBe(false);
  });

  it('takes an accent however the keyboard writes it', async () => {
    expect(await verifyPassword(await hashPassword('caf\u00e9 au lait'), 'cafe\u0301 au lait')).toBe(true);
  });

  it('goes by the cost that is stored', async () => {
    expect(await verifyPassword(cheap, 'correct horse')).toBe(true);
    expect(await verifyPassword(cheap, 'wrong horse')).toBe(false);
  });

  it('says no for an unknown user, after the same work', async () => {
    const hash = await hashPassword('correct horse');
    const timeOf = async (stored: string | undefined): Promise<number> => {
      const from = process.cpuUsage();
      for (let i = 0; i < 5; i++) expect(await verifyPassword(stored, 'wrong horse')).toBe(false);
      const { user, system } = process.cpuUsage(from);
      return user + system;
    };
    await timeOf(hash);
    const [known, unknown] = [await timeOf(hash), await timeOf(undefined)];
    expect(unknown / known).toBeGreaterThan(0.5);
    expect(unknown / known).toBeLessThan(2);
  });

  it('does not take 100 times the memory for 100 at once', async () => {
    const before = process.memoryUsage.rss();
    let most = before;
    const attempts = Array.from({ length: 100 }, async () => {
      await verifyPassword(undefined, 'guess');
      most = Math.max(most, process.memoryUsage.rss());
    });
    await Promise.all(attempts);
    // One takes 19 MiB: all at once would be 1900.
    expect((most - before) / 1024 / 1024).toBeLessThan(400);
  });

  it.each([
    ['nothing', ''],
    ['bcrypt', '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'],
    ['argon2i', cheap.replace('argon2id', 'argon2i')],
    ['another version', cheap.replace('v=19', 'v=16')],
    ['more memory than is borne', cheap.replace('m=8,', 'm=99999999,')],
    ['less memory than its lanes need', cheap.replace('m=8,', 'm=7,')],
    ['more passes than are borne', cheap.replace('t=1,', 't=999,')],
    ['no lane', cheap.replace('p=1', 'p=0')],
    ['a hash that is cut to nothing', cheap.replace(/\$[^$]+$/, '$AAAA')],
    ['a salt that is cut', cheap.replace('MDEyMzQ1Njc4OWFiY2RlZg', 'MDEy')],
    ['a line after it', `${cheap}\n`],
  ])('calls it damaged when stored is %s', async (_name, stored) => {
    await expect(verifyPassword(stored, 'correct horse')).rejects.toMatchObject({ code: 'damaged' });
  });
});
