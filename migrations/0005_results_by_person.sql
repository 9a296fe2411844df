-- Results are found by who asked: the primary key begins with the principal. An index by owner cost
-- every commit, for reads that an actor makes once in its life.

DROP INDEX command_results_of_owner;
