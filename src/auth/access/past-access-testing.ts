import { minute } from '../../base/time.ts';
import { documentOfRole } from '../../domain/resources/role.ts';
import { type RoleSpec, roleSpec } from '../../domain/role-spec.ts';
import { hostStream } from '../../domain/streams.ts';
import type { Call } from '../../api/server-deps.ts';
import { createResource } from '../resource/create-resource.ts';
import { updateResource } from '../resource/update-resource.ts';
import { adminCall, openTestAuth, type TestAuth } from '../testing.ts';
import { createUser } from '../user/create-user.ts';

export const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
export const by = (requestId: string): Call => ({ ...adminCall, requestId });
export const roleOf = (name: string, logins: string[], env: string, denied: string[] = []): RoleSpec =>
  roleSpec.parse({
    name,
    options: {},
    allow: { logins, nodeLabels: { env: [env] } },
    deny: { logins: denied },
  });

/** A cluster in which something happens each minute. */
export class Chronicle {
  readonly auth: TestAuth;
  readonly #revisions = new Map<string, number>();

  private constructor(auth: TestAuth) {
    this.auth = auth;
  }

  static async begin(auth?: TestAuth): Promise<Chronicle> {
    return new Chronicle(auth ?? (await openTestAuth()));
  }

  close(): Promise<void> {
    return this.auth.close();
  }

  /** A minute passes; returns the time at which the next thing happens. */
  next(): string {
    this.auth.world.advance(minute);
    return this.auth.world.now();
  }

  async writeRole(requestId: string, spec: RoleSpec, isNew = false): Promise<string> {
    const at = this.next();
    const write = isNew ? createResource : updateResource;
    await write(this.auth.deps, by(requestId), { document: documentOfRole(spec), dryRun: false });
    return at;
  }

  async addPerson(requestId: string, username: string, roles: string[]): Promise<string> {
    const at = this.next();
    const traits = { logins: [username] };
    await createUser(this.auth.deps, by(requestId), { username, roles, traits, inviteTtlSeconds: 3600 });
    return at;
  }

  /** What a node announces, or that it leaves. */
  async announce(requestId: string, n: number, env: string | undefined): Promise<string> {
    const at = this.next();
    const stream = hostStream(idOf(n));
    const expected = this.#revisions.get(stream) ?? 0;
    this.#revisions.set(stream, expected + 1);
    const host = {
      ...{ hostId: idOf(n), role: 'Node', nodename: `node-${n}`, address: '192.0.2.7:3022' },
      ...{ publicAddress: '', sshPublicAddress: '', labels: { env: env ?? '' }, version: '1.0.0' },
    };
    const fact =
      env === undefined
        ? { type: 'host.left', data: { role: 'Node' } }
        : { type: expected === 0 ? 'host.joined' : 'host.changed', data: { host } };
    const { deps, log } = this.auth;
    const cause = { at, actor: 'admin', requestId };
    await deps.views.reached(await log.state.append([{ stream, expected, facts: [fact] }], cause));
    return at;
  }

  /**
   * alice gets into node-1 as root by `dev`, and the role then goes to node-2. Returns the time of each
   * step, and one after them.
   */
  async course(): Promise<readonly string[]> {
    return [
      await this.announce('r1', 1, 'test'),
      await this.announce('r2', 2, 'prod'),
      await this.writeRole('r3', roleOf('dev', ['root'], 'test'), true),
      await this.addPerson('r4', 'alice', ['dev']),
      await this.writeRole('r5', roleOf('dev', ['root'], 'prod')),
      this.next(),
    ];
  }
}
