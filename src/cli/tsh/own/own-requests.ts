import { type BegunDevice, readBegunDevice } from '../cluster/web-answers.ts';
import { send, type WebTarget } from '../cluster/web-client.ts';

/** Who somebody is, and what proves it. */
export interface OwnClaim {
  readonly user: string;
  readonly password: string;
  /** Empty where the cluster asks for none. */
  readonly otp: string;
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
