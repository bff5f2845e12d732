import type { AuthContext } from 'ssh2';
import { isCoded, messageOf } from '../base/errors.ts';
import { unprovedName, unprovedReason } from '../base/unproved-text.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import type { AuthFailure, Peer } from './server-types.ts';
import { judgeLogin, LoginRefused } from './user-login.ts';

/** Harmless offers (plain keys of an agent, probes) that one connection may make. */
const MAX_OFFERS = 64;

export interface LoginAttemptsOptions {
  readonly peer: Peer;
  readonly maxFailures: number;
  readonly userAuthorities: () => Iterable<Buffer>;
  readonly openLogin?: string | undefined;
  readonly now: () => bigint;
  readonly authorize: (certificate: Certificate, username: string, peer: Peer) => void;
  readonly nameOf?: ((certificate: Certificate) => string) | undefined;
  readonly onAuthFailure: (failure: AuthFailure) => void;
  /** A bug: an error that was not a refusal. */
  readonly onFault: (error: unknown) => void;
  /** Too many: close the connection. */
  readonly giveUp: () => void;
}

/**
 * Judges the login requests of one connection. The client gets "failed" and nothing else; the reasons go to
 * the audit: each different one about a certificate at once, offers of other kinds once, when the connection
 * ends without a login.
 */
export class LoginAttempts {
  readonly #options: LoginAttemptsOptions;
  readonly #reported = new Set<string>();
  #harmless: AuthFailure | undefined;
  #offers = 0;
  #failures = 0;
  #accepted: { certificate: Certificate; username: string } | undefined;

  constructor(options: LoginAttemptsOptions) {
    this.#options = options;
  }

  /** Who logged in. */
  get accepted(): { certificate: Certificate; username: string } | undefined {
    return this.#accepted;
  }

  judge(ctx: AuthContext): void {
    this.#offers += 1;
    try {
      const certificate = this.#check(ctx);
      if (certificate !== undefined) this.#accepted = { certificate, username: ctx.username };
      ctx.accept(); // for a probe this only means "show me your signature"
    } catch (e) {
      this.#refuse(ctx, e);
    }
  }

  /** The connection is closed. */
  ended(): void {
    if (this.#accepted === undefined && this.#reported.size === 0 && this.#harmless !== undefined)
      this.#options.onAuthFailure(this.#harmless);
  }

  /** Returns the certificate of a proven login, undefined for a probe that may go on. Throws to refuse. */
  #check(ctx: AuthContext): Certificate | undefined {
    if (ctx.method === 'none') throw new LoginRefused('not a certificate', 'no credentials were shown');
    if (ctx.method !== 'publickey')
      throw new LoginRefused('not a certificate', `a certificate is required, ${ctx.method} was offered`);
    const { signature, blob: signed } = ctx;
    const proof = signature === undefined || signed === undefined ? undefined : { signature, signed };
    const certificate = judgeLogin(
      { username: ctx.username, algorithm: ctx.key.algo, blob: ctx.key.data, proof },
      {
        userAuthorities: this.#options.userAuthorities(),
        now: this.#options.now(),
        openLogin: this.#options.openLogin,
        sourceAddress: this.#options.peer.remoteAddress.host,
      },
    );
    if (proof === undefined) return undefined;
    try {
      this.#options.authorize(certificate, ctx.username, this.#options.peer);
    } catch (e) {
      const { nameOf = ({ keyId }: Certificate) => keyId } = this.#options;
      if (isCoded(e)) throw new LoginRefused('bad certificate', e.message, nameOf(certificate));
      throw e;
    }
    return certificate;
  }

  #refuse(ctx: AuthContext, e: unknown): void {
    if (!(e instanceof LoginRefused)) this.#options.onFault(e);
    const refused =
      e instanceof LoginRefused ? e : new LoginRefused('bad certificate', `internal error: ${messageOf(e)}`);
    // Anybody can send these, with any content, for any length of time.
    const failure = {
      username: unprovedName(ctx.username),
      keyId: refused.keyId === undefined ? undefined : unprovedName(refused.keyId),
      reason: unprovedReason(refused.message),
      peer: this.#options.peer,
    };
    if (refused.kind === 'bad certificate') {
      this.#failures += 1;
      this.#report(failure);
    } else if (ctx.method !== 'none') {
      this.#harmless ??= failure;
    }
    if (this.#failures >= this.#options.maxFailures || this.#offers >= MAX_OFFERS) this.#options.giveUp();
    else ctx.reject(['publickey']);
  }

  #report(failure: AuthFailure): void {
    const text = JSON.stringify([failure.username, failure.keyId, failure.reason]);
    if (this.#reported.has(text)) return;
    this.#reported.add(text);
    this.#options.onAuthFailure(failure);
  }
}
