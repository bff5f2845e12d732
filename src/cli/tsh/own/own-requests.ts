import { CodedError } from '../../../base/errors.ts';
import { instant, type Instant } from '../../../base/time.ts';
import { send, type WebTarget } from '../cluster/web-client.ts';

/** Who somebody is, and what proves it. */
export interface OwnClaim {
  readonly user: string;
  readonly password: string;
  /** Empty where the cluster asks for none. */
  readonly otp: string;
}

/** The secret of a device that is being set up. */
export interface BegunDevice {
  readonly token: string;
  /** What a device scans. */
  readonly otpUrl: string;
  /** The same in letters, for people who type it. */
  readonly secret: string;
  readonly expiresAt: Instant;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const bodyOf = ({ user, password, otp }: OwnClaim) => ({
  user,
  old_password: base64(password),
  second_factor_token: otp,
});

/** @throws CodedError `access_denied` with the proxy's own message. */
export async function changePassword(target: WebTarget, claim: OwnClaim, newPassword: string): Promise<void> {
  const body = { ...bodyOf(claim), new_password: base64(newPassword) };
  await send(target, { method: 'PUT', path: '/v1/webapi/users/password', body });
}

/** @throws CodedError `access_denied` with the proxy's own message. */
export async function beginDevice(target: WebTarget, claim: OwnClaim): Promise<BegunDevice> {
  return readBegunDevice(
    await send(target, { method: 'POST', path: '/v1/webapi/users/device', body: bodyOf(claim) }),
  );
}

/** @throws CodedError `access_denied` with the proxy's own message. */
export async function setDevice(target: WebTarget, token: string, otp: string): Promise<void> {
  const body = { token, second_factor_token: otp };
  await send(target, { method: 'PUT', path: '/v1/webapi/users/device', body });
}

const urlForm = /^otpauth:\/\/totp\/[A-Za-z0-9%:@._~!*'()+-]{1,1024}\?[A-Za-z0-9%=&._~+-]{1,512}$/;
const secretForm = /^[A-Z2-7]{16,128}$/;

/**
 * A proxy may lie, and what it sends is shown to a person and drawn.
 * @throws CodedError `unavailable` naming the field that is not valid.
 */
export function readBegunDevice(answer: unknown): BegunDevice {
  const fields = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
  const text = (name: string, isValid: (value: string) => boolean): string => {
    const value = fields[name];
    if (typeof value === 'string' && isValid(value)) return value;
    throw new CodedError('unavailable', `the proxy's answer is not understood by this version: ${name}`);
  };
  const secretOf = (url: string): string => new URL(url).searchParams.get('secret') ?? '';
  const otpUrl = text('otp_url', (url) => urlForm.test(url) && secretForm.test(secretOf(url)));
  return {
    token: text('token', (value) => /^[0-9a-f]{1,128}$/.test(value)),
    otpUrl,
    secret: secretOf(otpUrl),
    expiresAt: text('expires', (value) => instant.safeParse(value).success),
  };
}
