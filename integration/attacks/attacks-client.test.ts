import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openKmsKeyring } from '../../backends/kms/open.ts';
import { tlsServer } from '../../src/api/tls-dial.ts';
import { exchange } from '../../src/base/http-exchange.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { type Attacked, startAttacked } from './attacked.ts';
import { newKey } from '../harness/auth-bench.ts';
import { type Ran, run } from '../harness/run-program.ts';
import { type LyingProxy, startLyingProxy, type Told } from './lying-proxy.ts';
import { password } from '../harness/people.ts';

let here: Attacked;
beforeAll(async () => {
  here = await startAttacked();
});
afterAll(() => here.cluster.close());

describe('a proxy that lies to tsh', () => {
  const key = toAuthorizedKeyLine(newKey().publicKey.blob);
  const ssh = (told: Told): Told => (told['proxy'] as { ssh: Told } | undefined)?.ssh ?? {};
  const signer = (told: Told): Told => (told['host_signers'] as Told[] | undefined)?.[0] ?? {};
  let proxy: LyingProxy;
  beforeAll(async () => {
    proxy = await startLyingProxy(here.cluster);
  });
  afterAll(() => proxy.close());

  /** Logs in again where a home of that name is, without a terminal. */
  const login = (home: string, lie: LyingProxy['lie'], flags: readonly string[] = []): Promise<Ran> => {
    proxy.lie = lie;
    const args = ['login', `--proxy=127.0.0.1:${proxy.port}`, '--user=alice', ...flags];
    return here.cluster.tsh(home, args, { input: `${password}\n` });
  };
  const stored = (home: string, name: string): string => {
    const path = join(here.cluster.tshHome(home), name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };

  const lies: Record<string, (told: Told) => void> = {
    'a cluster of several lines': (told) => {
      signer(told)['domain_name'] = `x\n@cert-authority * ${key}`;
    },
    'a cluster that is a pattern': (told) => {
      signer(told)['domain_name'] = 'x,*';
    },
    'keys of several lines': (told) => {
      const text = `${key}\n@cert-authority * ${key}`;
      signer(told)['checking_keys'] = [Buffer.from(text).toString('base64')];
    },
    'every host as its SSH address': (told) => {
      ssh(told)['ssh_public_addr'] = '*:3023';
    },
    'two hosts as its web address': (told) => {
      ssh(told)['public_addr'] = 'a,b:443';
    },
  };
  it.each(Object.entries(lies))('names %s, and nothing is stored', async (name, change) => {
    const ran = await login(name.replaceAll(' ', '-'), (_path, told) => {
      change(told);
    });
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain("error: the proxy's answer is not understood by this version: ");
    expect(stored(name.replaceAll(' ', '-'), 'known_hosts')).toBe('');
  });

  it('is not followed to another host without a word, and gets no password before it is accepted', async () => {
    const lie = (_path: string, told: Told): void => {
      if ('proxy' in told) Object.assign(ssh(told), { public_addr: 'evil.example:443' });
    };
    const before = proxy.logins.length;
    const ran = await login('moved', lie);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(
      /announces what was neither typed nor known: logins, .* go to another host from now on: evil\.example:443.*--accept-announced/,
    );
    expect([proxy.logins.length, stored('moved', '127.0.0.1.yaml')]).toEqual([before, '']);
    expect((await login('moved', lie, ['--accept-announced'])).code).toBe(0);
    expect(stored('moved', '127.0.0.1.yaml')).toContain('web_proxy_addr: evil.example:443');
  });

  it('steers no terminal by what it answers', async () => {
    const hostile = '\u009b2J\u001b]0;y\u0007\u202e\u200b';
    const refused = await login('steered', (_path, told) => {
      told['auth'] = { type: hostile };
    });
    const outdated = await login('steered', (_path, told) => {
      told['min_client_version'] = `99.0.0${hostile}`;
    });
    const shown = [refused, outdated].map(({ stdout, stderr }) => `${stdout}${stderr}`).join('');
    expect(shown).toMatch(/\\x9b2J.*\\x9b2J/s);
    expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });

  it('does not become the authority of a cluster that another proxy leads to', async () => {
    const honest = await here.cluster.tsh(
      'two',
      ['login', `--proxy=localhost:${here.cluster.ports.web}`, '--user=alice'],
      { input: `${password}\n` },
    );
    expect(honest.code).toBe(0);
    const known = stored('two', 'known_hosts');
    const ran = await login('two', (_path, told) => {
      signer(told)['checking_keys'] = [Buffer.from(key).toString('base64')];
    });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(
      "cluster 'example' is known from the proxy localhost, with other authorities",
    );
    expect(stored('two', 'known_hosts')).toBe(known);
    expect((await login('two', () => undefined)).code).toBe(0);
    await here.cluster.tsh('two', ['logout']);
    const replaced = await login('two', (_path, told) => {
      signer(told)['checking_keys'] = [Buffer.from(key).toString('base64')];
    });
    expect(replaced.stderr).toContain("cluster 'example' has none of the host authorities that it had");
    const renamed = await login('two', (_path, told) => {
      signer(told)['domain_name'] = 'bank';
    });
    expect(renamed.stderr).toContain("it leads to cluster 'bank', and led to 'example' before");
    expect(stored('two', 'known_hosts')).not.toContain('bank');
  });

  it('does not make its key that of a cluster to which it says that it leads', async () => {
    const ran = await login('three', (_path, told) => {
      const signers = told['host_signers'] as Told[] | undefined;
      const [own] = signers ?? [];
      if (own === undefined) return;
      const keys = [Buffer.from(key).toString('base64')];
      signers?.push({ ...own, domain_name: 'bank', checking_keys: keys });
    });
    // Only an auth server could say so, and it knows no such cluster.
    expect(ran.code).toBe(0);
    expect(stored('three', 'known_hosts')).not.toContain('bank');
    expect(stored('three', 'known_hosts')).toContain('clustername=example');
  });
});

describe('NODE_TLS_REJECT_UNAUTHORIZED=0, which somebody set for other programs', () => {
  const blind = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  const untrusted = /self-signed certificate|unknown authority|unable to verify/i;
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it.each([
    ['by its launcher', [resolve('bin/tsh')]],
    ['without it', [process.execPath, resolve('dist/tsh.js')]],
  ])(
    'does not lead tsh, started %s, to a proxy that nobody vouches for',
    async (_, [program = '', ...args]) => {
      const env = {
        ...here.cluster.env('blind'),
        ...blind,
        SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt',
      };
      const ran = await run(
        program,
        [...args, 'login', `--proxy=127.0.0.1:${here.cluster.ports.web}`, '--user=alice'],
        { env, input: `${password}\n` },
      );
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(untrusted);
      if (args.length === 0)
        expect(ran.stderr).toMatch(
          /^WARNING: tsh does not obey NODE_TLS_REJECT_UNAUTHORIZED of the environment/,
        );
    },
  );

  it('lets no client of ours send anything to whoever answers', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const { auth, web } = here.cluster.ports;
    const other = here.alice.tlsCertificatePem;
    const dialled = tlsServer(
      { host: '127.0.0.1', port: auth },
      { ca: [other], serverName: 'teleport.cluster.local' },
    ).connect(AbortSignal.timeout(5_000));
    await expect(dialled).rejects.toThrow(/certificate/);
    const asked = exchange({
      url: new URL(`https://127.0.0.1:${web}/webapi/ping`),
      method: 'GET',
      headers: {},
      signal: AbortSignal.timeout(5_000),
      maxAnswerBytes: 1_000,
      check: { status: 'checked', ca: undefined },
    });
    await expect(asked).rejects.toThrow(untrusted);
    const endpoint = `https://localhost:${web}`;
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'x');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
    const aws = { region: 'eu-north-1', endpoint, patienceMs: 1 };
    await expect(
      openKmsKeyring({ ...aws, keyId: 'alias/x' }, { sink: silentLog, world: realWorld }),
    ).rejects.toThrow(untrusted);
  });
});
