from common.geometric import defer_unused

defer_unused()
