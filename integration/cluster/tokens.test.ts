import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuthFleet, startAuthFleet, tokens as staticTokens } from '../harness/auth-fleet.ts';
import { run } from '../harness/run-program.ts';
import { replay } from '../harness/transcript.ts';
import { withTctlOf } from '../harness/wrapped-tctl.ts';

let cluster: AuthFleet;
beforeAll(async () => {
  cluster = await startAuthFleet();
});
afterAll(() => cluster.fleet.close());

describe('tokens, as an operator types', () => {
  it('answer as the transcript says', async () => {
    const { fleet, auth } = cluster;
    const env = withTctlOf({ dir: fleet.dir, config: auth.config });
    await replay('integration/harness/transcripts/tokens.txt', env);
  });

  it('are nowhere on the disk of the auth server, and in nothing that it wrote', async () => {
    const { fleet, auth } = cluster;
    const made = await fleet.tctl(auth, 'nodes', 'add', '--format=json');
    const [token = ''] = JSON.parse(made.stdout) as string[];
    // What is on the log is found that way.
    expect((await run('grep', ['-rl', 'token.created', auth.dataDir])).code).toBe(0);
    for (const secret of [token, 'a-value-of-my-choice', ...Object.values(staticTokens)]) {
      expect(secret.length).toBeGreaterThan(15);
      const found = await run('grep', ['-rl', secret, auth.dataDir]);
      expect([found.code, found.stdout]).toEqual([1, '']);
      expect(auth.output()).not.toContain(secret);
    }
  });
});

describe('a file with static tokens', () => {
  const refusal = async (line: string): Promise<string> => {
    const { fleet, auth } = cluster;
    const config = join(fleet.dir, 'refused.yaml');
    writeFileSync(
      config,
      cluster.authYaml(join(fleet.dir, 'unused')).replace(/^ {2}tokens: .*$/m, `  ${line}`),
    );
    const ran = await run(resolve('bin/teleport'), ['start', `--config=${config}`]);
    expect(ran.code, auth.name).toBe(1);
    expect(ran.stderr).not.toMatch(/^\s+at /m);
    return ran.stderr;
  };

  it('is refused with the line and without the secret', async () => {
    for (const [line, message] of [
      ['tokens: ["s3cret"]', 'invalid static token spec, expected "role,role:token"'],
      ['tokens: ["node:"]', 'invalid static token spec, expected "role,role:token"'],
      ['tokens: ["cook:s3cret"]', 'role Cook is not registered'],
      ['tokens: ["node:ok-token", "auth:s3cret"]', 'tokens for role Auth are not in this release'],
      ['tokens: ["node:/nowhere/token"]', 'auth_service.tokens: cannot read the file /nowhere/token'],
    ] as const) {
      const said = await refusal(line);
      expect(said).toContain(message);
      expect(said).not.toContain('s3cret');
    }
  });
});
