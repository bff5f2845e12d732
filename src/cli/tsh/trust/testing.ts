import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { plusMs } from '../../../base/time.ts';
import { announcedAt, testAuthorityKey, type TestAuthorityKey } from '../../../pki/announcement-testing.ts';
import type { SignedKeysAnnouncement } from '../../../pki/authority-announcement.ts';
import { fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { AuthoritiesAnswer } from '../cluster/web-answers.ts';
import type { ClientIdentity } from '../login/client-identity.ts';
import { homeAt } from '../login/home.ts';
import { loadIdentity } from '../login/key-store.ts';
import { storeLogin } from '../login/store-login.ts';
import { testIo, testLogin } from '../testing.ts';
import { ClusterTrust } from './cluster-trust.ts';
import { storedTrust } from './trust-stores.ts';

export const [old, next, third] = [
  testAuthorityKey('old'),
  testAuthorityKey('next'),
  testAuthorityKey('third'),
];
export const foreign = testAuthorityKey('foreign');
export const now = plusMs(announcedAt, 60_000);
export const blobOf = ({ key }: TestAuthorityKey): Buffer => fromAuthorizedKeyLine(key.sshPublicKey);
export const answerOf = (announcement?: SignedKeysAnnouncement): AuthoritiesAnswer => ({
  announcement,
  withdrawn: [],
  userSigner: '',
});

export const trustedIn = (trust: ClusterTrust): string[] =>
  Object.entries({ old, next, third, foreign })
    .filter(([, key]) => trust.believes(blobOf(key)))
    .map(([name]) => name);

/** What the web port returns, or does. */
type Announced = SignedKeysAnnouncement | undefined | (() => Promise<AuthoritiesAnswer>);

/** A tsh home in which joe has logged in to cluster `example`, whose host authority has the key `old`. */
export class TestTrust {
  readonly directory = mkdtempSync(join(tmpdir(), 'tsh-trust-'));
  readonly home = homeAt(this.directory);

  static async open(): Promise<TestTrust> {
    const made = new TestTrust();
    await made.logIn(old);
    return made;
  }

  /** A login that brings these keys of the cluster, and one of another cluster beside them. */
  async logIn(...keys: readonly TestAuthorityKey[]): Promise<void> {
    const login = testLogin();
    const leaf = testAuthorityKey('leaf', 'leaf');
    const tlsCasPem = [...keys, leaf].map(({ key }) => key.tlsCertificatePem);
    await storeLogin({ home: this.home, useAgent: false, debug: false }, testIo(this.directory), {
      ...login,
      credentials: { ...login.credentials, tlsCasPem },
      authorities: [
        { clusterName: 'example', checkingKeys: keys.map(({ key }) => key.sshPublicKey) },
        { clusterName: 'leaf', checkingKeys: [leaf.key.sshPublicKey] },
      ],
    });
  }

  identity(): ClientIdentity {
    return loadIdentity(this.home, 'proxy', 'joe') ?? expect.unreachable();
  }

  /** The trust of the next command, when the web port responds like this. */
  nextCommand(
    announced: Announced,
    at = now,
  ): {
    readonly trust: ClusterTrust;
    readonly io: ReturnType<typeof testIo>;
    /** How many times the web port was asked. */
    readonly asked: () => number;
  } {
    const identity = this.identity();
    const io = testIo(this.directory, at);
    let asked = 0;
    const ask = typeof announced === 'function' ? announced : () => Promise.resolve(answerOf(announced));
    const counted = (): Promise<AuthoritiesAnswer> => {
      asked++;
      return ask();
    };
    const store = storedTrust(this.home, testLogin().profile, identity);
    return { trust: new ClusterTrust(identity, { store, announced: counted }, io), io, asked: () => asked };
  }

  /** Every file that a login left, except for when the cluster was asked. */
  files(): unknown {
    return readdirSync(this.directory, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile() && !one.name.endsWith('.learnt'))
      .map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'utf8')]);
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
