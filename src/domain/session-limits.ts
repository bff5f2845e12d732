import { minute, second } from '../base/duration.ts';
import type { Settings } from './config-facts.ts';
import type { AccessOptions } from './role-options.ts';

/** What holds for all sessions of the cluster, beside what roles say. */
export interface SessionLimits {
  /** 0: never. */
  readonly clientIdleTimeoutSeconds: number;
  readonly disconnectExpiredCert: boolean;
  /** How often a client that is silent is asked whether it is there. 0: never. */
  readonly keepAliveMs: number;
  /** After so many questions without an answer the connection is closed. */
  readonly keepAliveCountMax: number;
}

/** Those of 4.4. */
export const usualSessionLimits: SessionLimits = {
  clientIdleTimeoutSeconds: 0,
  disconnectExpiredCert: false,
  keepAliveMs: 5 * minute,
  keepAliveCountMax: 3,
};

/** By these names auth servers declare them to the cluster. */
const keys = {
  idle: 'auth_service.client_idle_timeout',
  expired: 'auth_service.disconnect_expired_cert',
  interval: 'auth_service.keep_alive_interval',
  count: 'auth_service.keep_alive_count_max',
} as const;

const secondsText = (seconds: number): string => (seconds === 0 ? 'never' : `${seconds}s`);

export const settingsOfLimits = (limits: SessionLimits): Settings => ({
  [keys.idle]: secondsText(limits.clientIdleTimeoutSeconds),
  [keys.expired]: limits.disconnectExpiredCert ? 'yes' : 'no',
  [keys.interval]: secondsText(limits.keepAliveMs / second),
  [keys.count]: String(limits.keepAliveCountMax),
});

/**
 * Of what auth servers of any release declared. Total: what is missing, or of a later release, is the usual
 * one; of what ends a session at an expired certificate the strict one.
 */
export function sessionLimitsOf(standing: Settings): SessionLimits {
  const usual = usualSessionLimits;
  const expired = standing[keys.expired];
  const intervalSeconds = secondsOf(standing[keys.interval]) ?? usual.keepAliveMs / second;
  return {
    clientIdleTimeoutSeconds: secondsOf(standing[keys.idle]) ?? usual.clientIdleTimeoutSeconds,
    disconnectExpiredCert: expired !== undefined && expired !== 'no',
    keepAliveMs: intervalSeconds * second,
    keepAliveCountMax: naturalOf(standing[keys.count]) ?? usual.keepAliveCountMax,
  };
}

const naturalOf = (text = ''): number | undefined => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined);
const secondsOf = (text = ''): number | undefined =>
  text === 'never' ? 0 : text.endsWith('s') ? naturalOf(text.slice(0, -1)) : undefined;

/** What a session may do, where the cluster limits it further: the stricter of both holds. */
export function limitedBy(options: AccessOptions, limits: SessionLimits): AccessOptions {
  const idle = [options.clientIdleTimeoutSeconds, limits.clientIdleTimeoutSeconds].filter((one) => one > 0);
  return {
    ...options,
    clientIdleTimeoutSeconds: idle.length === 0 ? 0 : Math.min(...idle),
    disconnectExpiredCert: options.disconnectExpiredCert || limits.disconnectExpiredCert,
  };
}
