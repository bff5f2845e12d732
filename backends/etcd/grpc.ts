import { createRequire } from 'node:module';

/** Additional data of a call besides its message. */
export interface Metadata {
  set(key: string, value: string): void;
}

/** The parts of grpc-js that etcd3 does not expose; from its own copy, so that the two match. */
interface Grpc {
  readonly Metadata: new () => Metadata;
  readonly credentials: {
    createSsl(
      root: Buffer | null,
      key: Buffer | null,
      cert: Buffer | null,
      verify: { readonly rejectUnauthorized: boolean; readonly checkServerIdentity?: () => undefined },
    ): unknown;
  };
}

const beside = createRequire(createRequire(import.meta.url).resolve('etcd3'));

export const grpc = beside('@grpc/grpc-js') as Grpc;

/** Of every channel. */
export const channelOptions = (maxMessageBytes: number): Record<string, number> => ({
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // A peer that comes back is used soon.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // etcd is called directly, whatever http_proxy is set to: it is a neighbour, and a password must not pass
  // through others.
  'grpc.enable_http_proxy': 0,
  // Nothing is sent twice, neither by the library nor because of a name server's settings.
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
});
