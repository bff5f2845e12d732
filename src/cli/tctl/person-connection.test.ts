import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseArgs } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { saveProfile } from '../tsh/login/profile.ts';
import { storeCredentials } from '../tsh/login/key-store.ts';
import { homeAt } from '../tsh/login/home.ts';
import { testCredentials, testEnd, testIo, testLogin } from '../tsh/testing.ts';
import { withAuth } from './connect.ts';
import './person-connection.ts'; // `connect.ts` loads it on demand
import { tctlProgram } from './program.ts';

let directory: string;
let home: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tctl-'));
  home = join(directory, 'tsh');
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Of a machine whose data directory is empty. */
const config = (): string => Buffer.from(`teleport: {data_dir: ${directory}}\n`).toString('base64');

async function refusalOf(argv: readonly string[], io: CliIo = testIo(home)): Promise<unknown> {
  const parsed = parseArgs(tctlProgram, [...argv, 'users', 'ls'], io.env);
  if (parsed.kind !== 'run') throw new Error('not a command');
  return withAuth(parsed.invocation, io, () => Promise.resolve('called')).catch((e: unknown) => e);
}

describe('for whom tctl acts', () => {
  it('takes no person where a configuration is named', async () => {
    await saveProfile(homeAt(home), testLogin().profile);
    expect(await refusalOf([`--config-string=${config()}`])).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`looked for the admin identity in ${directory}/proc`) as string,
    });
  });

  it('takes the login of the proxy that is named, and of no other', async () => {
    expect(await refusalOf(['--proxy=other'])).toMatchObject({
      code: 'access_denied',
      message:
        "--proxy was given, and nobody logged in to other with tsh: log in with 'tsh login --proxy=other'",
    });
    await saveProfile(homeAt(home), testLogin('proxy').profile);
    expect(await refusalOf(['--proxy=other'])).toMatchObject({
      message: expect.stringMatching(/'tsh login --proxy=other', or name .* --proxy: proxy$/) as string,
    });
  });

  it('asks for no password where the login has ended, but says whose it was', async () => {
    await saveProfile(homeAt(home), testLogin('proxy').profile);
    storeCredentials(homeAt(home), 'proxy', 'joe', testCredentials());
    const later = testIo(home, '2026-02-10T08:00:00.000Z');
    Object.assign(later.stdin, { isTTY: true });
    expect(await refusalOf(['--proxy=proxy'], later)).toMatchObject({
      code: 'access_denied',
      message: `the certificate of user 'joe' for proxy expired at ${testEnd}: log in with 'tsh login --proxy=proxy --user=joe' (--proxy was given, so tctl took the login of user 'joe' at proxy)`,
    });
  });

  it('refuses a proxy beside an identity file or another cluster', async () => {
    for (const other of ['--identity=file', '--auth-server=a', '--config=/nope', '--insecure'])
      expect(await refusalOf(['--proxy=proxy', other])).toMatchObject({
        code: 'bad_request',
        message: expect.stringMatching(`cannot be used with ${other.replace(/=.*/, '')}: `) as string,
      });
  });
});
