import type { AgentOptions } from 'node:https';
import { checked } from './dial-tls.ts';

/** What the handler of requests of AWS's SDK is told. */
export interface AwsRequests {
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  readonly throwOnRequestTimeout: true;
  readonly httpsAgent: AgentOptions;
}

/** Each attempt may be silent for so long, which is an error then. */
export const awsRequests = (attemptTimeoutMs: number): AwsRequests => ({
  connectionTimeout: attemptTimeoutMs,
  requestTimeout: attemptTimeoutMs,
  // Without it a late request is only logged.
  throwOnRequestTimeout: true,
  httpsAgent: { maxSockets: 50, keepAlive: true, ...checked },
});
