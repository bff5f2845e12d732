import type { HttpBindings } from '@hono/node-server';
import type { AuthClient } from '../api/client.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { HostPort } from '../base/service.ts';

/** What the web half of a proxy stands on. */
export interface WebDeps {
  readonly auth: Pick<AuthClient, 'call'>;
  readonly sink: LogSink;
  readonly clusterName: () => string;
  /** Where SSH clients of this proxy connect to, as bound. */
  readonly sshAddress: () => HostPort;
  /** `host:port`; empty when none is configured. */
  readonly publicAddress: string;
  readonly sshPublicAddress: string;
}

export interface WebEnv {
  Bindings: HttpBindings & { readonly secure: boolean };
  Variables: { requestId: string };
}
