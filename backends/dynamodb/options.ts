/** Which table, where, and how it is made when it is missing. */
export interface DynamodbOptions {
  readonly tableName: string;
  readonly region?: string | undefined;
  /** Another endpoint than Amazon's: a local engine, a VPC endpoint. */
  readonly endpoint?: string | undefined;
  /** Without them: the chain of the SDK (environment, shared files, instance role). */
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  readonly readCapacityUnits: number;
  readonly writeCapacityUnits: number;
  readonly billingMode: 'pay_per_request' | 'provisioned';
  /** Point-in-time recovery. */
  readonly continuousBackups: boolean;
  readonly autoScaling?: AutoScaling | undefined;
  /** Followers poll at this interval when nothing happened for a while. */
  readonly pollStreamPeriodMs: number;
  /** How long a throttled or failing request is retried. */
  readonly retryPeriodMs: number;
}

/** Only with provisioned capacity. Targets are percent of it. */
export interface AutoScaling {
  readonly readMinCapacity: number;
  readonly readMaxCapacity: number;
  readonly readTargetValue: number;
  readonly writeMinCapacity: number;
  readonly writeMaxCapacity: number;
  readonly writeTargetValue: number;
}

/** An item is 400 KB at most, names and key included. */
export const maxBatchBytes = 350 * 1024;
